internal import Compression
internal import Formats
internal import Models
internal import Naming
internal import Platform
internal import Tensors
internal import Text

extension ParserEntry {
  /// Header of a safetensors file.
  package static let safetensorsHeader = ParserEntry("safetensors-header") {
    (input) throws(Fault) in
    let file = try InputFile(path: input.path)
    guard case .header(let header) = try SafetensorsHeader.read(file, shard: 0) else { return }
    try header.requireSize(of: file)
    let shard = Shard(name: "input", file: file, metadata: header.metadata)
    let inventory = try Inventory(shards: [shard], tensors: header.tensors)
    if let last = inventory.tensors.last { _ = try inventory.read(last) }
  }

  /// `model.safetensors.index.json`.
  package static let safetensorsIndex = ParserEntry("safetensors-index") { (input) throws(Fault) in
    let index = try SafetensorsIndex(InputFile(path: input.path))
    for name in index.files where Folder.isPlain(name) {
      precondition(Folder.parent(of: Folder.join("/model", name)) == "/model", name.text)
    }
  }

  /// Header of a GGUF file, the network and the tokenizer that its metadata describe.
  package static let gguf = ParserEntry("gguf") { (input) throws(Fault) in
    let file = try InputFile(path: input.path)
    let header = try GGUFHeader(file, shard: 0)
    let size = try refused { () throws(Fault) in try header.requireSize(of: file) }
    let metadata = header.metadata
    let names = Set(header.tensors.map(\.name))
    let config = try refused {
      () throws(Fault) in
      let document = try GGUFConfig(metadata, names: names, file: "input").json
      list(try ModelConfig(json: document, file: "input"))
    }
    let tokenizer = try refused { () throws(Fault) in
      try use(try Tokenizer(metadata: metadata, file: "input"), on: "a ab\n1")
    }
    _ = try refused { () throws(Fault) in
      try RebuiltTokenizer(metadata, contextLength: 4096, file: "input")
    }
    if let fault = size.fault ?? config.fault ?? tokenizer.fault { throw fault }
  }

  /// An importance matrix, in either of its formats.
  package static let importance = ParserEntry("importance") { (input) throws(Fault) in
    let matrix = try ImportanceMatrix(path: input.path)
    _ = matrix.notes
    for name in matrix.names {
      for (count, matrices) in [(64, 1), (32, 4), (Int.max, 2)] {
        _ = try refused { () throws(Fault) in
          try matrix.columns(of: name, count: count, matrices: matrices)
        }
      }
    }
  }

  /// A packed file. What begins as its index does is taken for one, which no mutation could reach
  /// inside its frame: it gets a file with two entries around it.
  package static let packed = ParserEntry("packed") { (input) throws(Fault) in
    guard input.bytes.starts(with: "FPK1".utf8) else { return try readPacked(input.path) }
    let index = try Zstandard.compress(input.bytes)
    let header = PackedHeader(
      names: [PackedFile.headName, "t", PackedFile.indexName], most: 1 << 40)
    let stored: [UInt8] = [0, 1, 2, 3, 4, 5, 6, 7]
    let file = ParserInput(
      header.bytes(sizes: [1, stored.count - 1, index.count]) + stored + index)
    try readPacked(file.path)
  }

  /// Reads the beginning and the end of what a packed file shows.
  private static func readPacked(_ path: String) throws(Fault) {
    let file = try PackedFile.weights(InputFile(path: path))
    let count = min(file.size, 1 << 16)
    _ = try refused { () throws(Fault) in try file.read(at: 0, count: count) }
    _ = try file.read(at: file.size - count, count: count)
  }

  /// What a parser makes of something, or why it refuses it: where a file has several parts, one
  /// that is refused must not hide the others from the fuzzer.
  static func refused<Value>(
    _ body: () throws(Fault) -> Value
  ) throws(Fault) -> (value: Value?, fault: Fault?) {
    do throws(Fault) {
      return (try body(), nil)
    } catch {
      precondition(isClear(error), "\(error)")
      return (nil, error)
    }
  }
}
