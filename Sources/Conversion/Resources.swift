internal import Platform

/// How much memory a run may use, and on how many threads.
package struct Resources: Sendable, Hashable {
  /// Most threads.
  package var threads: Int
  /// Most bytes of buffers.
  package var memory: Int

  /// What is used where the user says nothing: it keeps the process well below 512 MB.
  package static let defaultMemory = 256_000_000

  /// Makes a bound.
  package init(threads: Int = Workers.available, memory: Int = Resources.defaultMemory) {
    self.threads = threads
    self.memory = memory
  }
}
