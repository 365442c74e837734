internal import Glibc
internal import Platform

/// What the programs of S3 read from the environment and from the user's file of credentials.
///
/// Source: the AWS SDKs' reference guide, "environment variables" and "shared credentials file".
struct S3Settings: Sendable {
  /// Where buckets are asked for; nil for Amazon's own servers.
  let endpoint: Address?
  let region: String
  /// How requests are signed; nil where they are not.
  private let account: S3Signature?

  /// Largest file of credentials.
  private static let fileLimit = 1 << 20

  /// Reads the settings of this process.
  ///
  /// - Throws: `.usage` for an endpoint that is no address, or credentials that are none.
  init() throws(Fault) {
    let text = Variables.text("AWS_ENDPOINT_URL_S3") ?? Variables.text("AWS_ENDPOINT_URL")
    endpoint = try text.map { text throws(Fault) in try Address(text.trimmed) }
    region = Variables.text("AWS_REGION") ?? Variables.text("AWS_DEFAULT_REGION") ?? "us-east-1"
    var values = [
      "aws_access_key_id": Variables.text("AWS_ACCESS_KEY_ID"),
      "aws_secret_access_key": Variables.text("AWS_SECRET_ACCESS_KEY"),
      "aws_session_token": Variables.text("AWS_SESSION_TOKEN"),
    ].compactMapValues(\.self)
    if values["aws_access_key_id"] == nil { values = try S3Settings.file() }
    for value in [region] + values.values
    where !value.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) {
      throw Fault(
        .usage, "the credentials or region of S3 are none", expected: "letters, digits and signs")
    }
    if let key = values["aws_access_key_id"], let secret = values["aws_secret_access_key"] {
      account = S3Signature(
        key: key, secret: secret, session: values["aws_session_token"], region: region)
    } else {
      account = nil
    }
  }

  /// The user's profile in the file of credentials; empty where there is none.
  private static func file() throws(Fault) -> [String: String] {
    let path =
      Variables.text("AWS_SHARED_CREDENTIALS_FILE")
      ?? Folder.join(Folder.join(Variables.home, ".aws"), "credentials")
    guard (try? Folder.kind(of: path)) == .file else { return [:] }
    let bytes = try LinkRule.following { () throws(Fault) in
      try InputFolder(path: Folder.parent(of: path)).contents(
        of: Folder.name(of: path), limit: fileLimit)
    }
    let profile = "[\(Variables.text("AWS_PROFILE") ?? "default")]"
    var (values, isIn): ([String: String], Bool) = ([:], false)
    for line in String(decoding: bytes ?? [], as: UTF8.self).split(whereSeparator: \.isNewline) {
      let words = line.split(separator: "=", maxSplits: 1).map { part in
        part.split { $0 == " " || $0 == "\t" }.joined(separator: " ")
      }
      if words.count == 1 { isIn = words[0] == profile }
      if isIn, words.count == 2 { values[words[0].lowercased()] = words[1] }
    }
    return values
  }

  /// Asks for an address of a bucket.
  func courier(_ address: Address, path: String) -> Courier {
    guard let account, address.isPrivate else {
      return Courier(
        address, path: path,
        key: "requests are signed with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or those of "
          + "AWS_PROFILE")
    }
    return Courier(
      address, path: path, signature: { account.fields(for: $0, at: time(nil)) },
      key: "the key that was used does not open it; AWS_REGION must be the bucket's (\(region))")
  }

  /// The address of a bucket: its own host at Amazon's, a folder anywhere else and where its name has
  /// dots, for which no certificate is good.
  func address(of bucket: ExactText) throws(Fault) -> Address {
    if let endpoint { return try Address("\(endpoint.text.trimmed)/\(bucket)") }
    return bucket.contains(".")
      ? try Address("https://s3.\(region).amazonaws.com/\(bucket)")
      : try Address("https://\(bucket).s3.\(region).amazonaws.com")
  }
}
