internal import Dialects
internal import Formats
internal import Tensors
internal import Weights

/// What a plan takes, in nanoseconds of one processor core, so that shares of it take the same time.
///
/// The rates were measured with one thread on an AMD EPYC with AVX-512, with importance matrices where
/// types need them (`scripts/bench --only plan` compares them with conversions); shares come out the
/// same on every machine, since nothing is measured when they are made.
struct PlanCost {
  /// Of each file its tensors' costs, in their order there.
  let files: [[Double]]

  /// Of all tensors.
  var total: Double { files.joined().reduce(0, +) }

  /// Reading a byte of the source and hashing it; hashing one of the output and writing it.
  private static let perByte = (read: 0.1, written: 0.45)
  /// Decoding an element of the source and rounding it to a plain type.
  private static let perElement = 0.2
  /// Encoding an element in a type of ggml's, codes being searched for.
  private static let perCode: [ElementType: Double] = [
    .q40: 0.3, .q41: 0.45, .q50: 0.4, .q51: 0.55, .q80: 0.2, .q2K: 2.1, .q3K: 1.6, .q4K: 2.2,
    .q5K: 1.8, .q6K: 1.2, .iq4NL: 3, .iq4XS: 3, .iq3S: 17, .iq3XXS: 22, .iq2S: 9, .iq2XS: 16,
    .iq2XXS: 12, .iq1S: 7, .iq1M: 7.5, .tq10: 0.3, .tq20: 0.3, .q10: 0.3, .q20: 0.3,
    .mxfp4: 0.9, .nvfp4: 0.9,
  ]
  /// Encoding an element in blocks or groups that have their scales beside them.
  private static let perGroupCode = 0.4

  init(_ plan: Plan) {
    let tensors = plan.tensors
    files = plan.layout.files.map { file in
      file.tensors.map { PlanCost.cost(of: tensors[$0]) }
    }
  }

  private static func cost(of tensor: PlannedTensor) -> Double {
    var read = 0.0
    tensor.assembly.forEachStored { read += Double($0.byteCount) }
    let written = Double(tensor.entry.byteCount)
    let elements = Double(tensor.assembly.rows) * Double(tensor.assembly.columns)
    let bytes = written * perByte.written + 1
    switch tensor.operation {
    case .copy: return bytes + read * perByte.read
    case .constant: return bytes
    case .unpack, .change: return bytes + read * perByte.read + elements * perElement
    case .convert:
      let code = perCode[tensor.entry.type] ?? 0
      return bytes + read * perByte.read + elements * (perElement + code)
    // What goes with codes is found with them, in the same reading.
    case .quantize(_, .codes):
      return bytes + read * perByte.read + elements * (perElement + perGroupCode)
    case .quantize: return bytes
    }
  }
}

extension Plan {
  /// Seconds that one core is at work, at the rates that shares are made by.
  package var coreSeconds: Double { PlanCost(self).total / 1e9 }
}
