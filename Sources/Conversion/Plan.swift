public import Formats
internal import Platform
internal import Tensors

/// How an output tensor comes about.
public enum Operation: Sendable, Hashable {
  /// The source's bytes, never decoded.
  case copy
  /// Each element converted to another type, rounded to nearest even.
  case cast
  /// FP8 values times their block's scale in F32, rounded to nearest even.
  case dequantize(BlockSize)
  /// FP8 values of the blocks of a plain matrix.
  case quantize(BlockSize, powerOfTwo: Bool)
  /// The scales of the blocks of a plain matrix; computed apart from the values, so that every
  /// tensor is a function of the source alone and can be written in any order.
  case scales(BlockSize, powerOfTwo: Bool)
  /// Rows of one or more tensors, each decoded to F32 and rounded once; or their bytes, where
  /// nothing changes but the place.
  case assemble(Assembly)

  /// The word that reports use.
  public var name: String {
    switch self {
    case .copy: "copied"
    case .cast: "cast"
    case .dequantize: "dequantized"
    case .quantize, .scales: "quantized"
    case .assemble(let assembly): assembly.name
    }
  }
}

/// A tensor of the output and where it comes from.
public struct PlannedTensor: Sendable, Hashable {
  /// Its name, type, shape and size.
  public let entry: OutputLayout.Entry
  /// The source's tensor that it is made from, the first one of an assembly.
  public let source: StoredTensor
  /// The source's grid of scales, where it is dequantized.
  public let scales: StoredTensor?
  /// How it is made.
  public let operation: Operation
  /// Why it has its type.
  public let reason: String
  /// What its columns weigh when it is quantized; nil where they all weigh the same.
  public let importance: ImportanceColumns?

  /// Names a tensor and where it comes from.
  init(
    entry: OutputLayout.Entry, source: StoredTensor, scales: StoredTensor? = nil,
    operation: Operation, reason: String, importance: ImportanceColumns? = nil
  ) {
    self.entry = entry
    self.source = source
    self.scales = scales
    self.operation = operation
    self.reason = reason
    self.importance = importance
  }

  /// All tensors of the source that it is made from.
  public var sources: [StoredTensor] {
    guard case .assemble(let assembly) = operation else {
      return [source] + (scales.map { [$0] } ?? [])
    }
    return assembly.parts.flatMap { [$0.tensor] + ($0.scales.map { [$0] } ?? []) }
  }
}

/// A tensor of the source that the output does not have.
public struct DroppedTensor: Sendable, Hashable {
  /// Its name.
  public let name: String
  /// Why it is left out.
  public let reason: String
}

/// A file of the output.
public struct PlannedFile: Sendable, Hashable {
  /// What a file is.
  public enum Kind: String, Sendable, Hashable {
    /// Tensors.
    case weights
    /// Which tensor stands in which file.
    case index
    /// The rewritten `config.json`.
    case config
    /// A file of the source that is copied: tokenizer, generation settings, licence.
    case side
  }

  /// File name in the output folder.
  public let name: String
  /// Its exact size.
  public let byteCount: Int
  /// What it is.
  public let kind: Kind
}

/// Everything that a conversion will write, known to the byte before it begins.
public struct Plan: Sendable {
  /// The recipe that it follows.
  public let recipe: Recipe
  /// The output's tensors; `layout` places them in files.
  public let tensors: [PlannedTensor]
  /// Files, headers and offsets; its entries are those of `tensors`, in the same order.
  public let layout: OutputLayout
  /// The text of the index beside the files, nil where there is none.
  public let index: [UInt8]?
  /// The rewritten `config.json`, nil where the format has none.
  public let config: [UInt8]?
  /// Every file with its exact size, in the order in which they are written.
  public let files: [PlannedFile]
  /// Tensors of the source that are left out.
  public let dropped: [DroppedTensor]
  /// What the user should know.
  public let warnings: [String]
  /// Sizes of the buffers.
  public let buffers: BufferPlan
  /// Files that are copied as they are.
  let sideFiles: [SideFile]

  /// Bytes of all files: what the output takes on disk.
  public var byteCount: Int { files.reduce(0) { $0 + $1.byteCount } }

  /// Most memory that a run takes, in bytes: buffers, tables and the program itself.
  public var peakMemory: Int {
    let names = tensors.count + dropped.count
    return buffers.byteCount + names * Plan.tableBytesPerTensor + Plan.programBytes
  }

  /// Measured: what inventory, expectations and plan take per tensor.
  static let tableBytesPerTensor = 1200
  /// Measured: the resident program with its libraries, before it opens anything.
  static let programBytes = 16 << 20
}
