internal import Dialects
package import Formats
internal import Platform

/// Files of the output that have all tensors of a file of the source where that one has them, and so
/// share its blocks where the file system can do that (`OutputFile.clone`): Btrfs and XFS.
///
/// Such a file is there as a whole before the first tile is read, with the header of the source's, over
/// which the own one is written. Its tiles are read from itself: what is hashed is what the output has,
/// whoever writes to the source meanwhile. An earlier run's beginning of a file is continued by writing.
struct ClonedShards {
  /// Their numbers in the layout.
  let files: Set<Int>
  /// The tensors of the source, each read from where its bytes are shared, if they are.
  let inventory: Inventory

  /// Makes the files of which nothing is there yet.
  ///
  /// - Parameter kept: up to which byte of each file an earlier run has written it.
  /// - Throws: `.malformed` where the source has changed since it was opened; `.cannotCreate` and
  ///   `.inputOutput` as creating files does.
  init(_ plan: Plan, _ inventory: Inventory, kept: [Int], in work: WorkFolder) throws(Fault) {
    var files: Set<Int> = []
    var clones: [Int: InputFile] = [:]
    for (number, file) in plan.layout.files.enumerated() where kept[number] == 0 {
      guard let shard = plan.shardShared(by: file, of: inventory), clones[shard] == nil else {
        continue
      }
      let original = inventory.shards[shard].file
      // A file system that cannot once cannot at all. Each of them is open until the end, so that other
      // files may want their numbers more; one that was made in vain is replaced when it is written.
      guard try work.create(file.name).clone(original),
        let clone = try? work.read(file.name),
        (try? Descriptors.requireRoom(for: file.name.text)) != nil
      else { break }
      try original.requireUnchanged()
      clones[shard] = clone
      files.insert(number)
    }
    self.files = files
    self.inventory = clones.isEmpty ? inventory : inventory.reading(clones)
    guard !files.isEmpty else { return }
    Console.step("files that share the blocks of the source's: \(files.count)")
  }

}

extension Plan {
  /// The shard of the source whose bytes a file of the layout has behind its header, at the same
  /// places; nil where there is none.
  package func shardShared(by file: OutputLayout.File, of inventory: Inventory) -> Int? {
    guard let first = file.tensors.first else { return nil }
    let shard = tensors[first].source.shard
    guard inventory.shards[shard].file.size == file.byteCount else { return nil }
    for (tensor, offset) in zip(file.tensors, file.offsets) {
      let (planned, source) = (tensors[tensor], tensors[tensor].source)
      guard case .copy = planned.operation, source.shard == shard, source.offset == offset,
        source.arrangement == nil, source.byteCount == planned.entry.byteCount
      else { return nil }
    }
    return shard
  }
}
