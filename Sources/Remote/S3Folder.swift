internal import Locks
internal import Platform

/// A folder of a bucket, as it is when it is first looked at: every answer is held to the tag that the
/// list has for its file.
final class S3Folder: ListedFolder {
  /// A file as the bucket lists it.
  struct Listed: Sendable {
    let size: Int
    let tag: String
  }

  private let settings: S3Settings
  private let bucket: ExactText
  /// What stands before the names of its files, a slash at its end; empty for the whole bucket.
  private let prefix: ExactText
  private let address: Address
  private let list = Answer<[ExactText: Listed]>()
  private let opened = Guarded<[ExactText: RemoteFile]>([:])
  private let beginnings = Beginnings()

  /// What such arguments begin with.
  static let scheme: ExactText = "s3://"
  /// Most bytes of an answer with 1,000 names, and most such answers.
  private static let answerLimit = 8 << 20
  private static let mostAnswers = 32

  /// Takes `BUCKET/PREFIX`.
  ///
  /// - Throws: `.usage` where it names no bucket, or the settings are wrong.
  init(_ place: ExactText, argument: String) throws(Fault) {
    let parts = place.split(separator: "/", maxSplits: 1)
    bucket = parts[0]
    guard (3...63).contains(bucket.utf8.count), bucket.utf8.allSatisfy(S3Folder.isPlain) else {
      throw Fault(
        .usage, "names no bucket", file: argument, expected: "s3://BUCKET/FOLDER")
    }
    let rest = parts.count > 1 ? parts[1] : ""
    prefix = rest.isEmpty ? rest : rest + "/"
    settings = try S3Settings()
    address = try settings.address(of: bucket)
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-")
      || byte == UInt8(ascii: ".")
  }

  private var shown: String { "\(S3Folder.scheme)\(bucket)/\(prefix)" }

  var name: ExactText { prefix.isEmpty ? bucket : Folder.name(of: prefix.text) }

  func pinnedAddress() throws(Fault) -> String { shown.trimmed }

  func fileNames() throws(Fault) -> [ExactText] {
    let names = try files().keys.sorted()
    guard !names.isEmpty else {
      throw Fault(.notFound, "holds nothing", file: shown)
    }
    return names
  }

  private func files() throws(Fault) -> [ExactText: Listed] {
    try list.value(ask)
  }

  private func ask() throws(Fault) -> [ExactText: Listed] {
    var files: [ExactText: Listed] = [:]
    var token: String?
    for _ in 0..<S3Folder.mostAnswers {
      // In the order of their names, as a signature has them.
      var words =
        token.map {
          ["continuation-token=\(Address.escaped(ExactText($0), keepingSlashes: false))"]
        } ?? []
      words += [
        "encoding-type=url", "list-type=2",
        "prefix=\(Address.escaped(prefix, keepingSlashes: false))",
      ]
      let asked = try Address("\(address.text.trimmed)/?\(words.joined(separator: "&"))")
      let receiver = DocumentReceiver(limit: S3Folder.answerLimit, path: shown)
      try settings.courier(asked, path: shown).fetch(into: receiver)
      let text = ExactText(String(decoding: receiver.bytes, as: UTF8.self))
      guard let root = S3Folder.element("ListBucketResult", in: text) else {
        throw Fault(
          .malformed, "is listed by its server in other words than S3's", file: shown,
          expected: "a ListBucketResult")
      }
      for entry in S3Folder.elements("Contents", in: root) {
        guard let key = S3Folder.element("Key", in: entry).map(S3Folder.unescaped),
          let size = S3Folder.element("Size", in: entry).flatMap({ Int($0.text) }), size >= 0,
          let tag = S3Folder.element("ETag", in: entry), let name = key.without(prefix: prefix),
          name.split(separator: "/").allSatisfy(Folder.isPlain)
        else { continue }
        let plain = AnswerHead.plain(tag.replacing("&quot;", with: "\"").text)
        files[name] = Listed(size: size, tag: plain)
      }
      guard S3Folder.element("IsTruncated", in: root) == "true" else { return files }
      token = S3Folder.element("NextContinuationToken", in: root)?.text
    }
    throw Fault(
      .malformed, "holds more files than a model has", file: shown,
      expected: "at most \(S3Folder.mostAnswers * 1000)")
  }

  /// What stands in the first element of a name.
  private static func element(_ name: String, in text: ExactText) -> ExactText? {
    elements(name, in: text).first
  }

  /// What stands in all elements of a name, none of which stands in another.
  private static func elements(_ name: String, in text: ExactText) -> [ExactText] {
    let bytes = Array(text.utf8)
    let (start, end) = (Array("<\(name)".utf8), Array("</\(name)>".utf8))
    var (found, rest): ([ExactText], ArraySlice<UInt8>) = ([], bytes[...])
    while let place = rest.firstRange(of: start) {
      rest = rest[place.upperBound...]
      // Names of elements may begin alike.
      guard let next = rest.first, next == UInt8(ascii: ">") || next == 0x20 else { continue }
      guard let open = rest.firstIndex(of: UInt8(ascii: ">")),
        let close = rest[open...].firstRange(of: end)
      else { break }
      found.append(ExactText(String(decoding: rest[(open + 1)..<close.lowerBound], as: UTF8.self)))
      rest = rest[close.upperBound...]
    }
    return found
  }

  /// A name without the escapes of an address.
  private static func unescaped(_ text: ExactText) -> ExactText {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      let digits = String(decoding: rest.prefix(2), as: UTF8.self)
      if byte == UInt8(ascii: "%"), digits.utf8.count == 2, let value = UInt8(digits, radix: 16) {
        bytes.append(value)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte == UInt8(ascii: "+") ? 0x20 : byte)
      }
    }
    return ExactText(String(decoding: bytes, as: UTF8.self))
  }

  func open(_ place: ExactText, shownAs path: String) throws(Fault) -> InputFile? {
    guard let listed = try files()[place] else { return nil }
    let file = try remote(place, listed, shownAs: path)
    return InputFile(distant: file, path: path, size: listed.size, tag: listed.tag)
  }

  private func remote(
    _ place: ExactText, _ listed: Listed, shownAs path: String
  ) throws(Fault) -> RemoteFile {
    if let file = opened.withLock({ $0[place] }) { return file }
    let key = Address.escaped(prefix + place, keepingSlashes: true)
    let asked = try Address("\(address.text.trimmed)/\(key)")
    let file = RemoteFile(
      settings.courier(asked, path: path),
      PinnedContents(path, PinnedContents.Facts(size: listed.size, tag: listed.tag)),
      beginnings: beginnings)
    return opened.withLock { opened in
      if let other = opened[place] { return other }
      opened[place] = file
      return file
    }
  }
}
