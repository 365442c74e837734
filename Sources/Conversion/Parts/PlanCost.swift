internal import Dialects
internal import Formats
internal import Tensors
internal import Weights

/// What a plan takes, in nanoseconds of one processor core, so that shares of it take the same time.
///
/// The rates were measured with one thread on an AMD EPYC with AVX-512, with importance matrices where
/// types need them; shares come out the same on every machine, since nothing is measured when they
/// are made.
struct PlanCost {
  /// Of each file its tensors' costs, in their order there.
  let files: [[Double]]

  /// Of all tensors.
  var total: Double { files.joined().reduce(0, +) }

  /// Reading a byte of the source and hashing it; hashing one of the output and writing it.
  private static let perByte = (read: 0.26, written: 0.85)
  /// Decoding an element of the source and rounding it to a plain type.
  private static let perElement = 0.4
  /// Encoding an element in a type of ggml's, codes being searched for.
  private static let perCode: [ElementType: Double] = [
    .q40: 1.5, .q41: 1.5, .q50: 2, .q51: 2, .q80: 0.8, .q2K: 9, .q3K: 5, .q4K: 11, .q5K: 9,
    .q6K: 6, .iq4NL: 12, .iq4XS: 12, .iq3S: 40, .iq3XXS: 110, .iq2S: 170, .iq2XS: 185,
    .iq2XXS: 95, .iq1S: 45, .iq1M: 55, .tq10: 2, .tq20: 2,
  ]
  /// Encoding an element in blocks or groups that have their scales beside them.
  private static let perGroupCode = 1.3

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
