package import Platform

/// A page of the list of a bucket's files.
package struct S3Listing: Sendable {
  /// A file as the bucket lists it.
  package struct File: Sendable {
    /// Its size in bytes.
    package let size: Int
    /// Its entity tag, which another version of it does not have.
    package let tag: String
  }

  /// The files, by their names below the prefix.
  package let files: [ExactText: File]
  /// Whether more pages follow.
  package let isCut: Bool
  /// What the next one is asked for with.
  package let next: String?

  /// Reads a server's answer, an XML document.
  ///
  /// - Throws: `.malformed` where it is no such list.
  package init(_ bytes: [UInt8], below prefix: ExactText, path: String) throws(Fault) {
    let text = ExactText(String(decoding: bytes, as: UTF8.self))
    guard let root = S3Listing.element("ListBucketResult", in: text) else {
      throw Fault(
        .malformed, "is listed by its server in other words than S3's", file: path,
        expected: "a ListBucketResult")
    }
    var files: [ExactText: File] = [:]
    for entry in S3Listing.elements("Contents", in: root) {
      guard let key = S3Listing.element("Key", in: entry).map(S3Listing.unescaped),
        let size = S3Listing.element("Size", in: entry).flatMap({ Int($0.text) }), size >= 0,
        let tag = S3Listing.element("ETag", in: entry), let name = key.without(prefix: prefix),
        name.split(separator: "/").allSatisfy(Folder.isPlain)
      else { continue }
      let plain = AnswerHead.plain(tag.replacing("&quot;", with: "\"").text)
      files[name] = File(size: size, tag: plain)
    }
    self.files = files
    isCut = S3Listing.element("IsTruncated", in: root) == "true"
    next = S3Listing.element("NextContinuationToken", in: root)?.text
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
    while let place = rest.place(of: start) {
      rest = rest[place.upperBound...]
      // Names of elements may begin alike.
      guard let next = rest.first, next == UInt8(ascii: ">") || next == 0x20 else { continue }
      guard let open = rest.firstIndex(of: UInt8(ascii: ">")),
        let close = rest[open...].place(of: end)
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
}
