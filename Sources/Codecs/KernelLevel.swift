internal import CKernels

/// The instruction set that vector kernels use; each call is given one, so that tests can run
/// every level that the machine has side by side.
package enum KernelLevel: Int32, CaseIterable, Sendable {
  /// Plain Swift: the readable truth that the others must equal.
  case plain = 0
  /// x86-64 with AVX2, FMA and F16C.
  case avx2 = 1
  /// x86-64 with AVX-512 F, BW, VL and DQ.
  case avx512 = 2
  /// 64-bit ARM.
  case neon = 3

  /// The best level of this machine.
  package static let best = KernelLevel(rawValue: fathom_best_level()) ?? .plain

  /// The levels that this machine can run, plain first.
  package static var available: [KernelLevel] {
    allCases.filter { level in
      switch level {
      case .plain: true
      case .avx2: best == .avx2 || best == .avx512
      case .avx512: best == .avx512
      case .neon: best == .neon
      }
    }
  }

  /// The kernels of this level; nil for plain Swift, and for levels of other processors.
  var kernels: UnsafePointer<fathom_kernels>? { fathom_kernels_at(rawValue) }
}
