internal import Formats
internal import Passes
internal import Platform
internal import Tensors

/// What tells later which files a baseline was made from, without reading all of them: SHA-256 of
/// the config, and for each shard one over the table of its tensors (name, type, shape, place) and
/// 64 windows of 4 KB, evenly spread. A shard of 4 GB takes 256 KB of reading; a file that was
/// converted, cut or written anew has another hash, while one weight may change unseen.
enum MeasuredFiles {
  private static let windows = 64
  private static let window = 4096

  static func json(_ model: ModelFiles) throws(Fault) -> JSONValue {
    let config = SHA256Digest.hash(Array(model.checkpoint.config.text(indent: nil).utf8))
    let inventory = model.inventory
    var tables = [String](repeating: "", count: inventory.shards.count)
    for tensor in inventory.tensors {
      tables[tensor.shard] +=
        "\(tensor.name) \(tensor.type.rawValue) \(tensor.shape) \(tensor.offset)\n"
    }
    var shards: [JSONValue] = []
    for (shard, table) in zip(inventory.shards, tables) {
      var digest = SHA256Digest()
      digest.update(Array(table.utf8))
      let size = shard.file.size
      for index in 0..<windows {
        let start = size / windows * index
        digest.update(
          try shard.file.read(at: start, count: min(window, max(0, size - start))))
      }
      shards.append(
        .object([
          "name": .string(shard.name.text), "bytes": .integer(size),
          "sha256": .string(SHA256Digest.text(digest.finish())),
        ]))
    }
    return .object([
      "configSHA256": .string(SHA256Digest.text(config)), "shards": .array(shards),
    ])
  }
}
