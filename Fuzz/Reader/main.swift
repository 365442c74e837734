// Reads inputs as a fuzz target does, one after the other, and says how many seconds of the
// processor each took: `read-inputs PARSER FILE…`. Whoever starts it may hold it to a limit.
import Glibc
import ParserEntries

/// The bytes of a file.
func contents(_ path: String) -> [UInt8] {
  guard let file = fopen(path, "rb") else { return [] }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while case let count = fread(&buffer, 1, buffer.count, file), count > 0 {
    bytes += buffer[..<count]
  }
  return bytes
}

/// Seconds that this process has worked.
func processorTime() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

let arguments = CommandLine.arguments
guard arguments.count > 2, let parser = ParserEntry.all.first(where: { $0.name == arguments[1] })
else {
  print("usage: read-inputs PARSER FILE…, where PARSER is one of")
  for parser in ParserEntry.all { print("  \(parser.name)") }
  exit(64)
}
for path in arguments.dropFirst(2) {
  let start = processorTime()
  let fault = parser.read(contents(path))
  print("\(processorTime() - start) \(path) \(fault == nil ? "accepted" : "refused")")
}
