internal import Glibc
internal import Platform

/// How a request to S3 is signed, so that the secret stays here: AWS Signature Version 4.
///
/// libcurl signs as well, but as S3 takes it only since versions that not every distribution has.
///
/// Source: "Authenticating Requests: Using the Authorization Header", Amazon S3 API reference.
package struct S3Signature: Sendable {
  private let key: String
  private let secret: String
  private let session: String?
  private let region: String

  /// SHA-256 of a body without bytes.
  private static let nothing = SHA256Digest.text(SHA256Digest.hash([]))

  /// Takes an account's key and secret, the token of a session that ends, and the bucket's region.
  package init(key: String, secret: String, session: String?, region: String) {
    (self.key, self.secret, self.session, self.region) = (key, secret, session, region)
  }

  /// The fields that go with a request.
  ///
  /// - Parameters:
  ///   - address: what is asked for; its query is in the order of the names.
  ///   - time: seconds since 1970.
  package func fields(for address: Address, at time: Int) -> [String] {
    var (moment, parts) = (time_t(time), tm())
    gmtime_r(&moment, &parts)
    func digits(_ number: Int32, _ count: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
    }
    let day =
      digits(parts.tm_year + 1900, 4) + digits(parts.tm_mon + 1, 2) + digits(parts.tm_mday, 2)
    let date =
      "\(day)T\(digits(parts.tm_hour, 2))\(digits(parts.tm_min, 2))\(digits(parts.tm_sec, 2))Z"
    var fields = [
      ("host", address.hostField), ("x-amz-content-sha256", S3Signature.nothing),
      ("x-amz-date", date),
    ]
    if let session { fields.append(("x-amz-security-token", session)) }
    let names = fields.map(\.0).joined(separator: ";")
    let request =
      "GET\n\(address.path)\n\(address.query ?? "")\n"
      + fields.map { "\($0):\($1)\n" }.joined() + "\n\(names)\n\(S3Signature.nothing)"
    let scope = "\(day)/\(region)/s3/aws4_request"
    let text =
      "AWS4-HMAC-SHA256\n\(date)\n\(scope)\n"
      + SHA256Digest.text(SHA256Digest.hash(Array(request.utf8)))
    var signing = Array("AWS4\(secret)".utf8)
    for word in [day, region, "s3", "aws4_request", text] {
      signing = S3Signature.code(of: Array(word.utf8), key: signing)
    }
    let authorization =
      "Authorization: AWS4-HMAC-SHA256 Credential=\(key)/\(scope),SignedHeaders=\(names),"
      + "Signature=\(SHA256Digest.text(signing))"
    return fields.dropFirst().map { "\($0): \($1)" } + [authorization]
  }

  /// HMAC-SHA256 (RFC 2104).
  private static func code(of message: [UInt8], key: [UInt8]) -> [UInt8] {
    var block = key.count > 64 ? SHA256Digest.hash(key) : key
    block += [UInt8](repeating: 0, count: 64 - block.count)
    let inner = SHA256Digest.hash(block.map { $0 ^ 0x36 } + message)
    return SHA256Digest.hash(block.map { $0 ^ 0x5C } + inner)
  }
}
