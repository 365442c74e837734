public import Codecs
public import Formats
public import Platform
public import Tensors

/// How an output tensor comes about from the values that it is assembled of.
public enum Operation: Sendable, Hashable {
  /// The bytes of a stored tensor, never decoded.
  case copy
  /// Each value in F32, rounded once; or bytes, where nothing changes but the place.
  case convert
  /// Each value times a number, in F32, rounded once: biases that stand for a zero point.
  case times(Float)
  /// A part of what quantizing the rows gives. Each can be computed apart, so that every tensor is
  /// a function of the source alone and can be written in any order.
  case quantize(Quantization, Part)
  /// Codes or scales out of ggml's blocks of FP4.
  case unpack(Part)
  /// Bytes that follow from the plan alone.
  case constant([UInt8])

  /// What quantizing gives.
  public enum Part: Sendable, Hashable {
    /// A code for each value.
    case codes
    /// A scale for each block or group.
    case scales
    /// Biases or zero points of groups.
    case offsets
    /// The one number that scales are divided by.
    case globalScale
  }
}

/// How rows are quantized.
public struct Quantization: Sendable, Hashable {
  /// Whose arithmetic is used.
  public enum Method: Sendable, Hashable {
    /// FP8 codes with a scale per block.
    case blocks(BlockSize, BlockQuantizer.ScaleFormat)
    /// Groups of adjacent columns.
    case groups(GroupScheme)
  }

  /// Whose arithmetic is used.
  public let method: Method
  /// The type that values are rounded to before, F32, F16 or BF16; nil for the one that plain
  /// numbers are stored in, and F32 for everything else.
  public let type: ElementType?
  /// The weights whose largest magnitude gives the global scale, where the method has one: those
  /// that loaders join.
  public let joined: [Assembly]

  /// Names a method and the type of what is quantized.
  public init(_ method: Method, of type: ElementType? = nil, joined: [Assembly] = []) {
    self.method = method
    self.type = type
    self.joined = joined
  }
}

/// A tensor of the output and where it comes from.
public struct PlannedTensor: Sendable, Hashable {
  /// Its name, type, shape and size.
  public let entry: OutputLayout.Entry
  /// What it is made from.
  public let assembly: Assembly
  /// How it is made.
  public let operation: Operation
  /// Why it has its type.
  public let reason: String
  /// What its columns weigh when it is quantized; nil where they all weigh the same.
  public let importance: ImportanceColumns?
  /// Whether codes, or what belongs to them, are moved without change of any value.
  public let isCarried: Bool

  /// Names a tensor and where it comes from.
  init(
    entry: OutputLayout.Entry, assembly: Assembly, operation: Operation, reason: String,
    importance: ImportanceColumns? = nil, isCarried: Bool = false
  ) {
    self.entry = entry
    self.assembly = assembly
    self.operation = operation
    self.reason = reason
    self.importance = importance
    self.isCarried = isCarried
  }

  /// The stored tensor that it is made from, the first one of several.
  public var source: StoredTensor { assembly.first.tensor }

  /// All stored tensors that it is made from.
  public var sources: [StoredTensor] { assembly.stored }

  /// The word that reports use: what becomes of the values.
  public var treatment: String {
    let isCode = assembly.allLeaves { $0.type.isCode || $1 != nil }
    switch operation {
    case .copy: return "copied"
    case .quantize: return isCode ? "requantized" : "quantized"
    case .times, .unpack: return "carried"
    case .constant: return "stated"
    case .convert where isCarried || assembly.packing(into: entry.type) != nil: return "carried"
    case .convert:
      if assembly.allLeaves({ $0.type == entry.type && $1 == nil }),
        assembly.keepsRows || !entry.type.isBlock
      {
        return assembly.arrangement == nil ? "copied" : "carried"
      }
      switch (isCode, entry.type.isCode) {
      case (true, true): return "requantized"
      case (true, false): return "dequantized"
      case (false, true): return "quantized"
      case (false, false): return "cast"
      }
    }
  }
}

extension ElementType {
  /// Whether its elements are codes of larger numbers: blocks, and what has 8 bits and less.
  var isCode: Bool { isBlock || bits <= 8 }
}

/// A tensor of the source that the output does not have.
public struct DroppedTensor: Sendable, Hashable {
  /// Its name.
  public let name: ExactText
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
    /// What the output holds and what it was made from.
    case manifest
  }

  /// File name in the output folder.
  public let name: ExactText
  /// Its exact size.
  public let byteCount: Int
  /// What it is.
  public let kind: Kind
}

/// A file that a plan writes from memory: an index, a config.
struct PlannedDocument: Sendable {
  let name: ExactText
  let kind: PlannedFile.Kind
  let bytes: [UInt8]
}

/// What a target's planner decided: every byte of the output, but for those of the weights.
struct PlannedOutput: Sendable {
  let tensors: [PlannedTensor]
  /// Where they go; its entries are those of `tensors`, in the same order.
  let layout: OutputLayout
  /// Files beside them, in the order in which they are written.
  var documents: [PlannedDocument] = []
  /// Files that are copied as they are.
  var sideFiles: [SideFile] = []
  let dropped: [DroppedTensor]
  var warnings: [String]
  /// What the source says and the output cannot, a line each.
  var lost: [String] = []
  /// What of the recipe no tensor heeds, a line each.
  var unheeded: [String] = []
  /// Whether the files stand in a folder of their own.
  var isFolder = true
  /// Whether weights that are NaN or infinite are refused.
  var refusesNonFinite = false

  /// Every file but the manifest, in the order in which they are written.
  var files: [PlannedFile] {
    layout.files.map { PlannedFile(name: $0.name, byteCount: $0.byteCount, kind: .weights) }
      + documents.map { PlannedFile(name: $0.name, byteCount: $0.bytes.count, kind: $0.kind) }
      + sideFiles.map { PlannedFile(name: $0.name, byteCount: $0.byteCount, kind: .side) }
  }
}

/// Everything that a conversion will write, known to the byte before it begins.
public struct Plan: Sendable {
  /// The recipe that it follows.
  public let recipe: Recipe
  /// Sizes of the buffers.
  public let buffers: BufferPlan
  let output: PlannedOutput
  /// What is written about the output; nil where nothing is.
  let manifest: PlannedManifest?

  /// The output's tensors; `layout` places them in files.
  public var tensors: [PlannedTensor] { output.tensors }
  /// Files, headers and offsets; its entries are those of `tensors`, in the same order.
  public var layout: OutputLayout { output.layout }
  /// Tensors of the source that are left out.
  public var dropped: [DroppedTensor] { output.dropped }
  /// What the user should know, that which is lost included.
  public var warnings: [String] {
    output.warnings + unheeded + lost.map { "lost: " + $0 }
  }
  /// What of the recipe no tensor heeds, a line each: patterns that match nothing.
  public var unheeded: [String] { output.unheeded }
  /// What the source says and the output cannot, a line each.
  public var lost: [String] { output.lost }

  /// Every file with its exact size, in the order in which they are written.
  public var files: [PlannedFile] {
    output.files
      + (manifest.map {
        [PlannedFile(name: $0.name, byteCount: $0.byteCount, kind: .manifest)]
      } ?? [])
  }

  /// The text of its manifest.
  func manifestText(_ model: SourceModel, _ source: PlannedManifest.Source) -> ManifestText {
    ManifestText(
      recipe: recipe, output: output, files: output.files, inventory: model.checkpoint.inventory,
      source: source)
  }

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
