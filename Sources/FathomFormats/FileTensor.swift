internal import Formats
internal import Platform
internal import Tensors

/// A tensor as an open file stores it, and the way to its bytes.
///
/// It keeps its file open. The bytes are those of the file, little-endian: `FathomCodecs` turns them
/// into numbers.
public struct FileTensor: Sendable {
  private let contents: FileContents
  private let stored: Formats.StoredTensor

  init(_ stored: Formats.StoredTensor, in contents: FileContents) {
    self.stored = stored
    self.contents = contents
  }

  /// Its name.
  public var name: String { stored.name.text }
  /// Storage of its elements.
  public var type: ElementType { ElementType(stored.type) }
  /// Its dimensions, outermost first.
  public var shape: [Int] { stored.shape.dimensions }
  /// What a writer needs to know of it.
  public var info: TensorInfo { TensorInfo(name, type, shape) }
  /// Elements that it has.
  public var elementCount: Int { stored.shape.elementCount }
  /// Bytes that they take.
  public var byteCount: Int { stored.byteCount }
  /// The file that it lies in.
  public var file: String { contents.inventory.shards[stored.shard].file.path }
  /// Its first byte, counted from the start of the file; of a packed file, from that of the original.
  public var offset: Int { stored.offset }

  /// Reads all of its bytes.
  ///
  /// - Throws: `inputOutput` where the file cannot be read, or ends early since it was opened;
  ///   `malformed` where a packed file is damaged.
  public func read() throws(FormatError) -> [UInt8] { try read(bytes: 0..<byteCount) }

  /// Reads some of its bytes.
  ///
  /// - Parameter bytes: which, counted from its first one.
  /// - Throws: as `read()` does; `invalidArgument` where it has not so many.
  public func read(bytes: Range<Int>) throws(FormatError) -> [UInt8] {
    guard bytes.lowerBound >= 0, bytes.upperBound <= byteCount else {
      throw FormatError(
        .invalidArgument, "has no such bytes", file: file, tensor: name,
        expected: "a range within \(byteCount)", found: "\(bytes)")
    }
    do throws(Fault) {
      return try contents.inventory.shards[stored.shard].file.read(
        at: stored.offset + bytes.lowerBound, count: bytes.count)
    } catch {
      var fault = error
      fault.tensor = stored.name
      throw FormatError(fault)
    }
  }
}

extension FileTensor: CustomStringConvertible {
  /// One line: `lm_head.weight BF16 [32, 64]`.
  public var description: String { info.description }
}

/// The files behind tensors, which share them.
final class FileContents: Sendable {
  let inventory: Inventory

  init(_ inventory: Inventory) { self.inventory = inventory }

  /// All tensors.
  var tensors: [FileTensor] { inventory.tensors.map { FileTensor($0, in: self) } }

  /// The tensor of a name.
  func tensor(_ name: String) -> FileTensor? {
    inventory[ExactText(name)].map { FileTensor($0, in: self) }
  }

  /// Throws where a file was written to since it was opened.
  func requireUnchanged() throws(FormatError) {
    try FormatError.wrapping { () throws(Fault) in
      for shard in inventory.shards { try shard.file.requireUnchanged() }
    }
  }
}
