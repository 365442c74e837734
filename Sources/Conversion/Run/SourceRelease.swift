internal import Dialects
internal import Formats
internal import Platform

/// Which shards of a source may be deleted when, since all their tensors are safe in the output.
///
/// The output's tensors stand in the order of the layers, and so do those of every published
/// checkpoint: a shard is of no more use soon after its last layer has been written.
struct SourceRelease {
  private let shards: [Shard]
  /// For each shard the files of the output that are made from it, and how far each must be safe;
  /// nil for a shard of which the output lacks a tensor, or that is gone.
  private let needs: [[Int: Int]?]
  /// Shards that stay, since the output lacks some of their tensors.
  let remaining: [ExactText]

  /// Looks at what each tensor of the output is made from.
  init(_ plan: Plan, inventory: Inventory) {
    shards = inventory.shards
    var needs = [[Int: Int]?](repeating: [:], count: inventory.shards.count)
    // Slices and renamed tensors are parts of stored ones: the place tells which.
    var used = [Set<Int>](repeating: [], count: inventory.shards.count)
    for (number, file) in plan.layout.files.enumerated() {
      for (tensor, offset) in zip(file.tensors, file.offsets) {
        let end = offset + plan.tensors[tensor].entry.byteCount
        for source in plan.tensors[tensor].sources {
          used[source.shard].insert(source.offset)
          let before = needs[source.shard]?[number] ?? 0
          needs[source.shard]?[number] = max(before, end)
        }
      }
    }
    for tensor in inventory.tensors
    where tensor.byteCount > 0 && !used[tensor.shard].contains(tensor.offset) {
      needs[tensor.shard] = nil
    }
    remaining = zip(inventory.shards, needs).filter { $1 == nil }.map(\.0.name)
    self.needs = needs
  }

  /// Throws `.usage` where nothing of a source can or may be deleted on the way.
  static func check(_ source: SourceModel) throws(Fault) {
    let shards = source.checkpoint.inventory.shards
    guard source.gguf == nil, shards.count > 1 else {
      throw Fault(
        .usage, "cannot be deleted part by part", file: shards.first?.file.path,
        expected: "a folder of several safetensors files with --free-source")
    }
    for shard in shards where !shard.file.isStandIn { try shard.file.requireOnlyName() }
  }

  /// The shards that are of no more use once so many bytes of each file are safe.
  func due(safe: [Int]) -> [Shard] {
    zip(shards, needs).filter { shard, needs in
      guard let needs, !shard.file.isGone else { return false }
      return needs.allSatisfy { safe[$0.key] >= $0.value }
    }.map(\.0)
  }

  /// A shard that is gone although it is needed for what is not kept.
  func missing(kept: [Int]) -> Shard? {
    zip(shards, needs).first { shard, needs in
      shard.file.isStandIn && !(needs ?? [:]).allSatisfy { kept[$0.key] >= $0.value }
    }?.0
  }

  /// Most bytes that the file system of `folder` must have free at a time to take the output, less
  /// what is kept, while shards go.
  ///
  /// - Parameter interval: bytes that are written before what was written is called safe.
  func space(_ plan: Plan, kept: [Int], interval: Int, folder: String) -> Int {
    // A position counts all bytes of files before it; those that are kept count for nothing.
    var starts: [Int] = []
    var written = 0
    for (file, kept) in zip(plan.layout.files, kept) {
      starts.append(written - kept)
      written += file.byteCount - kept
    }
    let total = plan.byteCount - kept.reduce(0, +)
    var releases: [(position: Int, bytes: Int)] = []
    for (shard, needs) in zip(shards, needs) {
      guard let needs, !shard.file.isGone else { continue }
      let position = needs.map { starts[$0.key] + max($0.value, kept[$0.key]) }.max() ?? 0
      releases.append((max(0, position) + interval, shard.file.bytesOnDisk(of: folder)))
    }
    releases.sort { $0.position < $1.position }
    var freed = 0
    var most = 0
    for (position, bytes) in releases where position < total {
      most = max(most, position - freed)
      freed += bytes
    }
    return max(most, total - freed)
  }
}
