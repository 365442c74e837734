internal import CTransport
package import Platform

/// An address of the web, `https://HOST[:PORT]/PATH[?QUERY]`, taken apart by the library that will
/// ask there, so that both take the same host for the host.
package struct Address: Sendable, Hashable {
  /// The whole.
  package let text: String
  /// `https` or `http`.
  let scheme: String
  let host: String
  let port: String
  /// With its characters escaped as in the whole.
  let path: String
  let query: String?

  /// The host as requests name it: the usual port is left out.
  var hostField: String { port == (scheme == "https" ? "443" : "80") ? host : "\(host):\(port)" }

  /// Scheme, host and port: what may see the same secrets.
  var origin: String { "\(scheme)://\(host):\(port)" }

  /// Whether nobody on the way can read or change what is sent.
  var isPrivate: Bool { scheme == "https" || isLoopback }

  /// Whether it leads to this machine.
  var isLoopback: Bool {
    host == "localhost" || host == "[::1]" || host.utf8.starts(with: "127.".utf8)
  }

  /// Takes an address apart.
  ///
  /// - Parameter base: what a relative one is relative to.
  /// - Throws: `.usage` for what is none, or names an account.
  package init(_ text: String, from base: Address? = nil) throws(Fault) {
    try Transport.load()
    guard
      !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }),
      let parsed = fathom_transport_address(base?.text, text)
    else { throw Fault(.usage, "is no address", file: base == nil ? text : base?.shown) }
    defer { fathom_transport_free_address(parsed) }
    func part(_ number: Int) -> String? {
      guard let bytes = fathom_transport_part(parsed, Int32(number)) else { return nil }
      defer { fathom_transport_free_part(bytes) }
      return String(cString: bytes)
    }
    guard let whole = part(FATHOM_ADDRESS_WHOLE), let scheme = part(FATHOM_ADDRESS_SCHEME),
      let host = part(FATHOM_ADDRESS_HOST), let port = part(FATHOM_ADDRESS_PORT),
      let path = part(FATHOM_ADDRESS_PATH), ["http", "https"].contains(scheme.lowercased())
    else {
      throw Fault(
        .usage, "is no address that is read", file: base == nil ? text : base?.shown,
        expected: "https://HOST/PATH")
    }
    guard part(FATHOM_ADDRESS_USER) == nil else {
      throw Fault(
        .usage, "an address with an account or password in it is not used",
        file: "\(scheme)://\(host)",
        expected: "secrets in the environment, where no list shows them")
    }
    self.text = whole
    self.scheme = scheme.lowercased()
    self.host = host.lowercased()
    self.port = port
    self.path = path
    query = part(FATHOM_ADDRESS_QUERY)
  }

  /// The address for messages: a query may hold a signature.
  var shown: String { query == nil ? text : "\(origin)\(path)" }

  /// A text with all but letters, digits and `-._~` escaped, slashes too unless they are kept.
  static func escaped(_ text: ExactText, keepingSlashes: Bool) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      let isPlain =
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || "-._~".utf8.contains(byte) || keepingSlashes && byte == UInt8(ascii: "/")
      if isPlain {
        bytes.append(byte)
      } else {
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
