internal import CPlatform
internal import Glibc

/// The memory that this process has, as the system counts it.
package enum ProcessMemory {
  /// Bytes in memory now; 0 where the system does not tell.
  package static var resident: Int {
    let pages = text("/proc/self/statm").split(separator: " ").dropFirst().first
    return (pages.flatMap { Int($0) } ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// The most bytes that were in memory at any time so far; 0 where the system does not tell.
  package static var peak: Int {
    let line = text("/proc/self/status").split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    let words = line?.split { $0 == " " || $0 == "\t" } ?? []
    return words.count > 1 ? (Int(words[1]) ?? 0) << 10 : 0
  }

  /// Makes the allocator give large pieces back at once: left to itself it learns to keep them.
  package static func returnFreedPieces() { fathom_return_freed_pieces() }

  /// Seconds that all processors together have worked for this process.
  package static var processorSeconds: Double { Double(clock()) / Double(CLOCKS_PER_SEC) }

  private static func text(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    return String(unsafeUninitializedCapacity: 1 << 13) { buffer in
      max(0, Glibc.read(descriptor, buffer.baseAddress!, buffer.count))
    }
  }
}
