package import Platform

/// What lies in a checkpoint's folder, faults included: the ground on which `validate` reports.
///
/// Everything else opens a `Checkpoint`, which refuses the first fault.
package struct CheckpointSurvey: Sendable {
  /// One file that should hold tensors.
  package enum ShardState: Sendable {
    /// Its header is sound; the data may still be cut short.
    case read(Shard, SafetensorsHeader)
    /// It ends inside its header, or is packed and ends early; it should have at least so many bytes.
    case cut(InputFile, atLeast: Int)
    /// It is absent, no regular file, or its header is malformed.
    case faulty(Fault)
  }

  /// The folder that holds the files.
  package var folder: String { files.path }
  /// The door to the files in it.
  package let files: InputFolder
  /// The file that describes the network.
  package let configFile: String
  /// What stands in it; null where it is missing or no JSON (`requireConfig`).
  package let config: JSONValue
  private let configFault: Fault?
  /// The index, nil where there is none.
  package let index: SafetensorsIndex?
  /// Whether the index names other files than those that lie here with all of its tensors: it was
  /// written for another division of the same weights.
  package let isIndexForeign: Bool
  /// Safetensors files beside the checkpoint that are called as weights are and are no part of it.
  package let strays: [ExactText]
  /// Files in the order of their names, each with its state.
  package let shards: [(name: ExactText, state: ShardState)]
  /// File names in the index that leave the folder; they are not opened.
  package let foreignFiles: [ExactText]
  /// Threads that look through what was found.
  package let threads: Int

  /// Looks at a folder, or at one `.safetensors` file beside a `config.json`.
  ///
  /// - Parameter standIns: a folder with the beginnings of shards that have been deleted since their
  ///   tensors are safe elsewhere; what they held cannot be read.
  /// A config that is missing or malformed stops nobody who does without: see `requireConfig`.
  ///
  /// - Throws: `.notFound` where there is no such thing; `.malformed` where the index is not what it
  ///   should be, or a link that is not followed.
  package init(path: String, threads: Int, standIns: String? = nil) throws(Fault) {
    self.threads = threads
    guard let kind = try Folder.kind(of: path) else {
      throw Fault(.notFound, "no such file or folder", file: path)
    }
    guard kind != .special else {
      throw Fault(.notFound, "is neither a file nor a folder", file: path)
    }
    // One of DeepSeek's shards stands for all of them.
    let isFile = kind == .file && NativeShardName(Folder.name(of: path)) == nil
    files = try kind == .file ? InputFolder(around: path) : InputFolder(path: path)
    let kept = isFile ? nil : try standIns.map { path throws(Fault) in try InputFolder(path: path) }
    let present =
      isFile ? [Folder.name(of: path)] : try CheckpointSurvey.files(in: files, and: kept)
    let candidates = isFile ? present : ShardNames.candidates(present)
    let name = try CheckpointSurvey.configName(in: files, beside: candidates)
    configFile = files.place(of: name)
    let (stated, fault) = try CheckpointSurvey.readConfig(name, in: files)
    (config, configFault) = (try CheckpointSurvey.withStorage(stated, in: files), fault)
    let budget = ModelBudget()
    try budget.files.take(candidates.count, for: path)
    let reader = ShardReader(
      folder: files, names: candidates,
      indexFile: isFile ? nil : try files.find(SafetensorsIndex.fileName), standIns: kept,
      budget: budget)
    try reader.run(threads: files.lookers(threads))
    index = reader.index
    let mentioned = index?.files ?? []
    foreignFiles = mentioned.filter { !Folder.isPlain($0) }
    var choice = ShardChoice(reader.states, named: index.map { $0.files.filter(Folder.isPlain) })
    let others = choice.unread
    try budget.files.take(others.count, for: path)
    let implied = try ShardNames.missing(choice.names + others, in: files.path, within: budget)
    let rest = ShardReader(
      folder: files, names: others + implied, indexFile: nil, standIns: kept, budget: budget)
    try rest.run(threads: files.lookers(threads))
    choice.add(rest.states)
    isIndexForeign = index.map { choice.isForeign($0) } ?? false
    shards = (isIndexForeign ? choice.others : choice.own).sorted { $0.name < $1.name }
    let known = Set(shards.map(\.name))
    strays = present.filter { !known.contains($0) && ShardNames.isUsual($0) }
    Console.step(
      "opened \(path): read the headers of its safetensors files, \(shards.count) in all")
  }

  /// Reads the file that describes the network.
  private static func readConfig(
    _ name: ExactText, in folder: InputFolder
  ) throws(Fault) -> (JSONValue, Fault?) {
    do throws(Fault) {
      return (try readConfig(folder.open(name)), nil)
    } catch {
      guard error.kind == .notFound || error.kind == .malformed else { throw error }
      return (.null, error)
    }
  }

  /// Reads a `config.json`.
  ///
  /// - Throws: `.malformed` for what is none, with what it is instead.
  package static func readConfig(_ file: InputFile) throws(Fault) -> JSONValue {
    try file.parsed(as: .json) { () throws(Fault) in
      try JSONValue(
        parsing: file.contents(limit: configLimit), file: file.path, limits: .document,
        dialect: .python)
    }
  }

  /// Throws `.notFound` or `.malformed` where there is no config that can be read.
  package func requireConfig() throws(Fault) {
    if let configFault { throw explained(configFault) }
  }

  /// Throws `.malformed` where there is a config that cannot be read, for those who do without one.
  package func requireSoundConfig() throws(Fault) {
    if let configFault, configFault.kind != .notFound { throw configFault }
  }

  /// Whether the files are DeepSeek's model-parallel shards: they are called so, and no tensor has a
  /// name as in Hugging Face's checkpoints.
  package var isNative: Bool {
    !shards.isEmpty
      && shards.allSatisfy { name, state in
        guard case .read(_, let header) = state else { return NativeShardName(name) != nil }
        return NativeShardName(name) != nil
          && !header.tensors.contains { $0.name.hasPrefix("model.") }
      }
  }

  /// Throws `.malformed` where DeepSeek's shards are those of several divisions of a model.
  package func requireOneDivision() throws(Fault) {
    let names = shards.compactMap { NativeShardName($0.name) }
    guard let first = names.first, let other = names.first(where: { $0.count != first.count })
    else {
      return
    }
    throw Fault(
      .malformed, "belongs to another division of the model", file: Folder.join(folder, other.file),
      expected: "one of \(first.count) shards", found: "one of \(other.count)")
  }

  /// What stands before the names of a file's tensors, where several files use the same ones.
  package func prefix(of file: ExactText) -> ExactText {
    isNative ? NativeShardName(file).map { "\($0.stem)/" } ?? "" : ""
  }

  /// The safetensors files of a folder, those of which only beginnings are kept too.
  private static func files(
    in folder: InputFolder, and kept: InputFolder?
  ) throws(Fault) -> [ExactText] {
    let listing = try folder.listing()
    // Nobody could say which tensors are missing then.
    if let name = listing.unreadable.first(where: { $0.hasSuffix(".safetensors") }) {
      throw Folder.unreadableFault(name, in: folder.path)
    }
    let names = Set(listing.names).union(try kept?.listing().names ?? [])
    return names.filter { $0.hasSuffix(".safetensors") }.sorted()
  }

  /// `config.json`; beside Mistral's own files alone `params.json`, whatever else is there; beside
  /// DeepSeek's own shards, which come without one, the only file that is called like those of its
  /// repository: `config_671B.json`.
  private static func configName(
    in folder: InputFolder, beside shards: [ExactText]
  ) throws(Fault) -> ExactText {
    let usual: ExactText = "config.json"
    let mistral: ExactText = "params.json"
    if !shards.isEmpty, shards.allSatisfy({ $0.hasPrefix("consolidated") }) {
      return try folder.listing().names.contains(mistral) ? mistral : usual
    }
    guard shards.contains(where: { NativeShardName($0) != nil }) else { return usual }
    let names = try folder.listing().names
    guard !names.contains(usual) else { return usual }
    let others = names.filter { $0.hasPrefix("config") && $0.hasSuffix(".json") }
    return others.count == 1 ? others[0] : usual
  }

  /// The headers that could be read.
  package var headers: [SafetensorsHeader] {
    shards.compactMap { if case .read(_, let header) = $0.state { header } else { nil } }
  }

  /// Tensors in the headers that could be read.
  package var tensorCount: Int { headers.reduce(0) { $0 + $1.tensors.count } }

  /// Largest `config.json` that is read, in bytes.
  static let configLimit = 16 << 20
}
