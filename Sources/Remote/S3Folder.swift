internal import Locks
internal import Platform

/// A folder of a bucket, as it is when it is first looked at: every answer is held to the tag that the
/// list has for its file.
final class S3Folder: ListedFolder {
  private let settings: S3Settings
  private let bucket: ExactText
  /// What stands before the names of its files, a slash at its end; empty for the whole bucket.
  private let prefix: ExactText
  private let address: Address
  private let list = Answer<[ExactText: S3Listing.File]>()
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

  private func files() throws(Fault) -> [ExactText: S3Listing.File] {
    try list.value(ask)
  }

  private func ask() throws(Fault) -> [ExactText: S3Listing.File] {
    var files: [ExactText: S3Listing.File] = [:]
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
      let page = try S3Listing(receiver.bytes, below: prefix, path: shown)
      files.merge(page.files) { $1 }
      guard page.isCut else { return files }
      guard let next = page.next else {
        throw Fault(
          .malformed, "is listed in part, and its server does not say how to go on", file: shown,
          expected: "a NextContinuationToken")
      }
      token = next
    }
    throw Fault(
      .malformed, "holds more files than a model has", file: shown,
      expected: "at most \(S3Folder.mostAnswers * 1000)")
  }

  func open(_ place: ExactText, shownAs path: String) throws(Fault) -> InputFile? {
    guard let listed = try files()[place] else { return nil }
    let file = try remote(place, listed, shownAs: path)
    return InputFile(distant: file, path: path, size: listed.size, tag: listed.tag)
  }

  private func remote(
    _ place: ExactText, _ listed: S3Listing.File, shownAs path: String
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
