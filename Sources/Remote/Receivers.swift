internal import Platform

/// Takes a whole document of a bounded size.
final class DocumentReceiver: Courier.Receiver {
  private(set) var bytes: [UInt8] = []
  private(set) var fault: Fault?
  private(set) var isComplete = false
  private let limit: Int
  private let path: String
  let range: Range<Int>? = nil

  init(limit: Int, path: String) {
    self.limit = limit
    self.path = path
  }

  var received: Int { bytes.count }

  func start() { (bytes, isComplete) = ([], false) }

  func ask(_ origin: String) {}

  func pass(_ head: AnswerHead) {}

  func begin(_ head: AnswerHead) -> Bool {
    isComplete = head.status == 200
    return true
  }

  func take(_ part: UnsafeRawBufferPointer) -> Bool {
    guard isComplete else { return true }
    guard part.count <= limit - bytes.count else {
      fault = Fault(
        .malformed, "is too large for what it is", file: path, expected: "at most \(limit) bytes")
      return false
    }
    bytes += part
    return true
  }
}

/// Takes a range of a file, or as much of it as there is, in as many answers as it takes, and holds
/// each answer to what is known of the file.
final class RangeReceiver: Courier.Receiver {
  private let wanted: Range<Int>
  private let buffer: UnsafeMutableRawBufferPointer
  private let contents: PinnedContents
  /// Bytes from the range's start that are there.
  private(set) var count = 0
  private var before = 0
  /// Bytes of the file, once an answer said so.
  private(set) var total: Int?
  private(set) var fault: Fault?
  private var accepts = false
  private var origin = ""

  /// - Parameter buffer: as many bytes as the range has.
  init(_ range: Range<Int>, of contents: PinnedContents, into buffer: UnsafeMutableRawBufferPointer)
  {
    wanted = range
    self.contents = contents
    self.buffer = buffer
  }

  var range: Range<Int>? { wanted.lowerBound + count..<wanted.upperBound }

  var received: Int { count - before }

  var isComplete: Bool { count == min(wanted.upperBound, total ?? .max) - wanted.lowerBound }

  func start() { (before, accepts) = (count, false) }

  func ask(_ origin: String) { self.origin = origin }

  func pass(_ head: AnswerHead) { fault = fault ?? contents.fault(ofRedirect: head) }

  func begin(_ head: AnswerHead) -> Bool {
    if head.status == 416, wanted.lowerBound == 0, let size = emptySize(head) {
      total = size
      return false
    }
    if head.status == 416 { fault = fault ?? contents.changed("a shorter file") }
    guard head.status == 200 || head.status == 206 else { return true }
    let start = wanted.lowerBound + count
    guard let extent = head.extent else {
      fault = contents.wrong("an answer that does not say which bytes it has")
      return false
    }
    if head.status == 200, start > 0 {
      var other = contents.wrong("200 and the whole file")
      other.advice =
        "the server does not answer requests for ranges: download the model, or take "
        + "another server"
      fault = other
      return false
    }
    let end = min(wanted.upperBound, extent.total)
    guard extent.range.lowerBound == start, head.status == 200 || extent.range.upperBound == end
    else {
      fault = contents.wrong(
        "bytes \(extent.range.lowerBound) to \(extent.range.upperBound - 1) of \(extent.total)")
      return false
    }
    if let encoding = head["content-encoding"], encoding.lowercased() != "identity" {
      fault = contents.wrong("bytes that are encoded")
      return false
    }
    fault = fault ?? contents.fault(of: head, total: extent.total, from: origin)
    total = extent.total
    accepts = fault == nil
    return accepts
  }

  /// The size of a file without bytes, of which no range exists.
  private func emptySize(_ head: AnswerHead) -> Int? {
    guard let words = head["content-range"]?.split(separator: "/"), words.count == 2 else {
      return nil
    }
    return words[1] == "0" ? 0 : nil
  }

  func take(_ part: UnsafeRawBufferPointer) -> Bool {
    guard accepts else { return true }
    let taken = min(part.count, buffer.count - count)
    UnsafeMutableRawBufferPointer(rebasing: buffer[count..<count + taken])
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: part[..<taken]))
    count += taken
    // An answer without ranges goes on to the end of the file.
    return taken == part.count
  }
}
