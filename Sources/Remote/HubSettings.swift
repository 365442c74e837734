internal import Platform

/// What huggingface_hub reads from the environment, read in the same way.
///
/// Source: huggingface_hub/constants.py and utils/_auth.py.
struct HubSettings: Sendable {
  /// The server, `https://huggingface.co` if nobody says otherwise.
  let endpoint: Address
  /// The cache of models.
  let cache: String
  /// Whether no server is to be asked.
  let isOffline: Bool
  /// The user's token; never shown, and sent to the endpoint alone.
  private let token: String?

  /// Largest file of a token.
  private static let tokenLimit = 1 << 12

  /// Reads the settings of this process.
  ///
  /// - Throws: `.usage` for an endpoint that is no address, or a token that is none.
  init() throws(Fault) {
    var text = Variables.text("HF_ENDPOINT") ?? "https://huggingface.co"
    while text.utf8.last == UInt8(ascii: "/") { text.removeLast() }
    do throws(Fault) { endpoint = try Address(text) } catch {
      var fault = error
      fault.advice = fault.advice ?? "HF_ENDPOINT names the server: https://HOST"
      throw fault
    }
    let root = HubSettings.root
    cache =
      Variables.text("HF_HUB_CACHE") ?? Variables.text("HUGGINGFACE_HUB_CACHE")
      ?? Folder.join(root, "hub")
    isOffline = Variables.isSet("HF_HUB_OFFLINE") || Variables.isSet("TRANSFORMERS_OFFLINE")
    token = try HubSettings.token(in: root)
  }

  /// The folder of everything that the hub's programs keep.
  private static var root: String {
    if let root = Variables.text("HF_HOME") { return expanded(root) }
    let caches = Variables.text("XDG_CACHE_HOME") ?? Folder.join(Variables.home, ".cache")
    return Folder.join(expanded(caches), "huggingface")
  }

  private static func expanded(_ place: String) -> String {
    guard let rest = ExactText(place).without(prefix: "~/") else { return place }
    return Folder.join(Variables.home, rest)
  }

  /// The token of the environment, or of the file that signing in leaves.
  private static func token(in root: String) throws(Fault) -> String? {
    var text = Variables.text("HF_TOKEN") ?? Variables.text("HUGGING_FACE_HUB_TOKEN")
    var source = "HF_TOKEN"
    if text == nil, !Variables.isSet("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
      source = expanded(Variables.text("HF_TOKEN_PATH") ?? Folder.join(root, "token"))
      let isThere = (try? Folder.kind(of: source)) == .file
      if isThere {
        let bytes = try LinkRule.following { () throws(Fault) in
          try InputFolder(path: Folder.parent(of: source)).contents(
            of: Folder.name(of: source), limit: tokenLimit)
        }
        text = bytes.map { String(decoding: $0, as: UTF8.self) }
      }
    }
    guard let text else { return nil }
    var bytes = Array(text.utf8.drop { $0 <= 0x20 })
    while let last = bytes.last, last <= 0x20 { bytes.removeLast() }
    guard !bytes.isEmpty else { return nil }
    guard bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw Fault(
        .usage, "holds no token", file: source,
        expected: "letters, digits and signs of ASCII in one line")
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// What may help where the hub refuses us.
  func key(for address: Address) -> String {
    fields(for: address).isEmpty
      ? "set HF_TOKEN, or sign in with \"hf auth login\", where it takes a token"
      : "the token that was sent does not open it"
  }

  /// The fields that go with requests to the endpoint, and to no other host.
  ///
  /// - Parameter address: where the request goes; whoever could read it on the way gets no token.
  func fields(for address: Address) -> [String] {
    guard let token, address.origin == endpoint.origin, address.isPrivate else { return [] }
    return ["Authorization: Bearer \(token)"]
  }
}
