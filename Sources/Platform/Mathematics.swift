internal import Glibc

/// The system's mathematical functions, so that no other room needs the C library.
public enum Mathematics {
  /// eˣ
  public static func exp(_ x: Double) -> Double { Glibc.exp(x) }
  /// eˣ
  public static func exp(_ x: Float) -> Float { Glibc.expf(x) }
  /// Natural logarithm.
  public static func log(_ x: Double) -> Double { Glibc.log(x) }
  /// Sine.
  public static func sin(_ x: Double) -> Double { Glibc.sin(x) }
  /// Cosine.
  public static func cos(_ x: Double) -> Double { Glibc.cos(x) }
  /// x to the power of y.
  public static func pow(_ x: Double, _ y: Double) -> Double { Glibc.pow(x, y) }
}
