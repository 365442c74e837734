internal import Platform

/// A message of ArgumentParser's, in which arguments may stand as they were given: the lines of the
/// message are kept, those of an argument are not.
struct UsageMessage {
  /// The message as it may be printed.
  let text: OutputText

  init(_ message: String, arguments: [String]) {
    // An option's value is quoted without the option.
    let parts = arguments.flatMap { argument -> [String] in
      guard let sign = argument.utf8.firstIndex(of: UInt8(ascii: "=")) else { return [argument] }
      let value = argument.utf8[argument.utf8.index(after: sign)...]
      return [argument, String(argument[..<sign]), String(Substring(value))]
    }
    let foreign = parts.filter { $0.utf8.contains(UInt8(ascii: "\n")) }.map { Array($0.utf8) }
      .sorted { $0.count > $1.count }
    let bytes = Array(message.utf8)
    var lines: [OutputText] = [""]
    var pending: [UInt8] = []
    func flush() {
      lines[lines.count - 1] += String(decoding: pending, as: UTF8.self).printableLine
      pending = []
    }
    var place = 0
    while place < bytes.count {
      let rest = bytes[place...]
      if let argument = foreign.first(where: { rest.starts(with: $0) }) {
        flush()
        lines[lines.count - 1] += "\(String(decoding: argument, as: UTF8.self))"
        place += argument.count
      } else {
        if bytes[place] == UInt8(ascii: "\n") {
          flush()
          lines.append("")
        } else {
          pending.append(bytes[place])
        }
        place += 1
      }
    }
    flush()
    text = lines.joined(separator: "\n")
  }
}
