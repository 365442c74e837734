package import Codecs
package import Formats
package import Platform
package import Tensors
package import Weights

/// How an output tensor comes about from the values that it is assembled of.
package enum Operation: Sendable, Hashable {
  /// The bytes of a stored tensor, never decoded.
  case copy
  /// Each value in F32, rounded once; or bytes, where nothing changes but the place.
  case convert
  /// Each value in F32 made another number, rounded once.
  case change(Change)
  /// A part of what quantizing the rows gives. Each can be computed apart, so that every tensor is
  /// a function of the source alone and can be written in any order.
  case quantize(Quantization, Part)
  /// Codes or scales out of ggml's blocks of FP4.
  case unpack(Part)
  /// Bytes that follow from the plan alone.
  case constant([UInt8])

  /// What numbers become on their way to a format that keeps others in their place.
  package enum Change: Sendable, Hashable {
    /// Their product with a number: biases that stand for a zero point.
    case times(Float)
    /// One divided by them: what scales are divided by, of what they were multiplied by.
    case reciprocal
  }

  /// What quantizing gives.
  package enum Part: Sendable, Hashable {
    /// A code for each value.
    case codes
    /// A scale for each block or group.
    case scales
    /// Biases or zero points of groups.
    case offsets
    /// The one number that scales are divided or multiplied by.
    case globalScale
  }
}

/// How rows are quantized.
package struct Quantization: Sendable, Hashable {
  /// Whose arithmetic is used.
  package enum Method: Sendable, Hashable {
    /// FP8 codes with a scale per block.
    case blocks(BlockSize, BlockQuantizer.ScaleFormat)
    /// Groups of adjacent columns.
    case groups(GroupScheme)
  }

  /// Whose arithmetic is used.
  package let method: Method
  /// The type that values are rounded to before, F32, F16 or BF16; nil for the one that plain
  /// numbers are stored in, and F32 for everything else.
  package let type: ElementType?
  /// The weights whose largest magnitude gives the global scale, where the method has one: those
  /// that loaders join.
  package let joined: [Assembly]
  /// Whether codes of blocks have to mean the very numbers that they are made of.
  package let isExact: Bool

  /// Names a method and the type of what is quantized.
  package init(
    _ method: Method, of type: ElementType? = nil, joined: [Assembly] = [], isExact: Bool = false
  ) {
    self.method = method
    self.type = type
    self.joined = joined
    self.isExact = isExact
  }
}

/// A tensor of the output and where it comes from.
package struct PlannedTensor: Sendable, Hashable {
  /// Its name, type, shape and size.
  package let entry: OutputLayout.Entry
  /// What it is made from.
  package let assembly: Assembly
  /// How it is made.
  package let operation: Operation
  /// Why it has its type.
  package let reason: String
  /// What its columns weigh when it is quantized; nil where they all weigh the same.
  package let importance: ImportanceColumns?
  /// Whether codes, or what belongs to them, are moved without change of any value.
  package let isCarried: Bool
  /// What of the reason says that blocks of the type that was meant do not divide its rows; nil where
  /// they do.
  package let fallback: String?

  /// Names a tensor and where it comes from.
  package init(
    entry: OutputLayout.Entry, assembly: Assembly, operation: Operation, reason: String,
    importance: ImportanceColumns? = nil, isCarried: Bool = false, fallback: String? = nil
  ) {
    self.entry = entry
    self.assembly = assembly
    self.operation = operation
    self.reason = reason
    self.importance = importance
    self.isCarried = isCarried
    self.fallback = fallback
  }

  /// The stored tensor that it is made from, the first one of several.
  package var source: StoredTensor { assembly.first.tensor }

  /// All stored tensors that it is made from.
  package var sources: [StoredTensor] { assembly.stored }
}

/// A tensor of the source that the output does not have.
package struct DroppedTensor: Sendable, Hashable {
  /// Its name.
  package let name: ExactText
  /// Why it is left out.
  package let reason: String
}

/// A file of the output.
package struct PlannedFile: Sendable, Hashable {
  /// What a file is.
  package enum Kind: String, Sendable, Hashable {
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
  package let name: ExactText
  /// Its exact size.
  package let byteCount: Int
  /// What it is.
  package let kind: Kind

  /// Names a file.
  package init(name: ExactText, byteCount: Int, kind: Kind) {
    self.name = name
    self.byteCount = byteCount
    self.kind = kind
  }
}

/// A file that a plan writes from memory: an index, a config.
package struct PlannedDocument: Sendable {
  /// Its name in the output.
  package let name: ExactText
  /// What it is, for reports.
  package let kind: PlannedFile.Kind
  /// Its contents.
  package let bytes: [UInt8]
}

/// What a target's planner decided: every byte of the output, but for those of the weights.
package struct PlannedOutput: Sendable {
  /// Every tensor of the output, with what it is made of.
  package let tensors: [PlannedTensor]
  /// Where they go; its entries are those of `tensors`, in the same order.
  package let layout: OutputLayout
  /// Files beside them, in the order in which they are written.
  package var documents: [PlannedDocument] = []
  /// Files that are copied as they are.
  package var sideFiles: [SideFile] = []
  /// Tensors of the source that no tensor of the output is made of, each with a reason.
  package let dropped: [DroppedTensor]
  /// What may be a mistake, a line each.
  package var warnings: [String]
  /// What the source says and the output cannot, a line each.
  package var lost: [String] = []
  /// What of the recipe no tensor heeds, a line each.
  package var unheeded: [String] = []
  /// What the user should know of the output, that which is lost included, a line each.
  package var notices: [String] { warnings + unheeded + lost.map { "lost: " + $0 } }
  /// Whether weights that are NaN or infinite are refused.
  package var refusesNonFinite = false

  /// Every file but the manifest, in the order in which they are written.
  package var files: [PlannedFile] {
    layout.files.map { PlannedFile(name: $0.name, byteCount: $0.byteCount, kind: .weights) }
      + documents.map { PlannedFile(name: $0.name, byteCount: $0.bytes.count, kind: $0.kind) }
      + sideFiles.map { PlannedFile(name: $0.name, byteCount: $0.byteCount, kind: .side) }
  }
}

extension Assembly {
  /// A copy where a stored tensor stays what it is.
  package func operation(to type: ElementType) -> Operation {
    guard let (tensor, scaling) = single else { return .convert }
    return tensor.type == type && scaling == nil ? .copy : .convert
  }
}
