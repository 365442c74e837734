internal import Platform

/// Takes the bytes of one tensor that is being written, in as many pieces as they come in.
public struct TensorOutput: ~Copyable {
  private let tensor: TensorInfo
  private let file: OutputFile
  /// Bytes that are still to come.
  public private(set) var remaining: Int

  init(_ tensor: TensorInfo, byteCount: Int, to file: OutputFile) {
    self.tensor = tensor
    self.file = file
    remaining = byteCount
  }

  /// Writes bytes behind those that were written before.
  ///
  /// - Throws: `invalidArgument` where the tensor has not so many; `cannotCreate` where space ran out,
  ///   `inputOutput` for what else the system refuses.
  public mutating func append(_ bytes: [UInt8]) throws(FormatError) { try append(bytes.span.bytes) }

  /// Writes bytes that lie elsewhere behind those that were written before.
  ///
  /// - Throws: as for an array.
  public mutating func append(_ bytes: RawSpan) throws(FormatError) {
    guard bytes.byteCount <= remaining else {
      throw FormatError(
        .invalidArgument, "is given more bytes than it has", file: file.path, tensor: tensor.name,
        expected: "at most \(remaining) more", found: "\(bytes.byteCount)")
    }
    var fault: Fault?
    bytes.withUnsafeBytes { bytes in
      do throws(Fault) { try file.append(bytes) } catch { fault = error }
    }
    if let fault { throw FormatError(fault) }
    remaining -= bytes.byteCount
  }

  /// Throws where bytes are missing.
  func requireComplete() throws(FormatError) {
    guard remaining == 0 else {
      throw FormatError(
        .invalidArgument, "is given fewer bytes than it has", file: file.path, tensor: tensor.name,
        expected: "\(remaining) more")
    }
  }
}
