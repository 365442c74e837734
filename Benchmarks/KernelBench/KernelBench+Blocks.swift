import Codecs
import Tensors

extension KernelBench {
  /// Elements that become blocks, weighed with an importance, in 10⁹ per second.
  ///
  /// The numbers are a bell's, since a search takes as long as they are hard.
  /// `ggml-compare` has the same beside ggml's own.
  static func encode(_ codec: Codec, _ level: KernelLevel) -> Double {
    let (rows, columns) = (16, 2048)
    var state: UInt64 = 1
    func uniform() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(state >> 40) * 0x1p-24
    }
    let values = (0..<rows * columns).map { _ in
      uniform() + uniform() + uniform() + uniform() - 2
    }
    let importance = (0..<columns).map { _ in uniform() + 0.1 }
    let bytes = filled(codec.type.byteOffset(of: rows * columns))
    return rate(Double(rows * columns)) {
      values.withUnsafeBufferPointer { values in
        importance.withUnsafeBufferPointer {
          codec.encode(
            values, columns: columns, importance: $0, into: bytes.bytes, level: level)
        }
      }
    }
  }
}
