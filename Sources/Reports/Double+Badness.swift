extension Double {
  /// NaN is the worst of all.
  package var badness: Double { isNaN ? .infinity : self }
}
