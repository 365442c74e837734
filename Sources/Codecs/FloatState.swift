internal import CKernels

/// The floating-point state of a thread.
package enum FloatState {
  /// Gives the calling thread the state that all results are defined for: round to nearest, nothing
  /// flushed to zero.
  ///
  /// Call it at the start of each worker. A thread inherits its maker's state, and a library that
  /// flushes denormals changes the bytes of encoders for weights near 2⁻⁴⁰.
  package static func reset() { fathom_reset_float_state() }
}
