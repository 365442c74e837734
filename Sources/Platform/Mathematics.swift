internal import Glibc

/// The system's mathematical functions, so that no other room needs the C library.
package enum Mathematics {
  /// eˣ
  package static func exp(_ x: Double) -> Double { Glibc.exp(x) }
  /// eˣ
  package static func exp(_ x: Float) -> Float { Glibc.expf(x) }
  /// Natural logarithm.
  package static func log(_ x: Double) -> Double { Glibc.log(x) }
  /// Sine.
  package static func sin(_ x: Double) -> Double { Glibc.sin(x) }
  /// Cosine.
  package static func cos(_ x: Double) -> Double { Glibc.cos(x) }
  /// x to the power of y.
  package static func pow(_ x: Double, _ y: Double) -> Double { Glibc.pow(x, y) }
}
