package import Platform

/// A model on the hub as arguments name it: `hf://ORG/NAME[@REVISION][/FOLDER…]`.
package struct HubName: Sendable, Hashable {
  /// `ORG/NAME`; a few old models have no owner.
  package let repository: ExactText
  /// A branch, a tag or a commit; nil for the usual branch.
  package let revision: ExactText?
  /// What stands behind it: a folder of the repository, or a file.
  package let place: ExactText

  /// What such arguments begin with.
  static let scheme: ExactText = "hf://"

  /// Takes an argument apart; nil where it does not begin so.
  ///
  /// - Throws: `.usage` where it begins so and names no model.
  package init?(_ argument: String) throws(Fault) {
    guard let rest = ExactText(argument).without(prefix: HubName.scheme) else { return nil }
    let parts = rest.split(separator: "/")
    func malformed() -> Fault {
      Fault(
        .usage, "names no model of the hub", file: argument,
        expected: "hf://ORG/NAME, with @REVISION behind it where one is meant")
    }
    guard parts.count >= 2 else { throw malformed() }
    let pieces = parts[1].split(separator: "@", maxSplits: 1)
    let name = pieces[0]
    guard HubName.isPart(parts[0]), HubName.isPart(name) else { throw malformed() }
    repository = parts[0] + "/" + name
    var tail = parts.dropFirst(2)
    if pieces.count == 2 {
      var words = [pieces[1]]
      // Discussions' branches have slashes in their names, and no other ones that are written plainly.
      if pieces[1] == "refs", tail.count >= 2 {
        words += tail.prefix(2)
        tail = tail.dropFirst(2)
      }
      let text = words.map(\.text).joined(separator: "/")
      let revision = ExactText(text).replacing("%2F", with: "/").replacing("%2f", with: "/")
      guard !revision.isEmpty, !revision.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
        throw malformed()
      }
      self.revision = revision
    } else {
      revision = nil
    }
    if tail.last?.isEmpty == true { tail = tail.dropLast() }
    guard tail.allSatisfy({ Folder.isPlain($0) }) else { throw malformed() }
    place = ExactText(tail.joined(separator: "/"))
  }

  /// What `ORG/NAME` alone may be on the hub; nil for what is no such name.
  package init?(plain argument: String) {
    let parts = ExactText(argument).split(separator: "/")
    guard parts.count == 2, HubName.isPart(parts[0]), HubName.isPart(parts[1]) else { return nil }
    // Files of models are called so, and no models.
    let endings: [ExactText] = [".safetensors", ".gguf", ".json"]
    guard !endings.contains(where: parts[1].hasSuffix) else { return nil }
    (repository, revision, place) = (parts[0] + "/" + parts[1], nil, "")
  }

  /// Whether the hub allows a part of a name so.
  ///
  /// Source: huggingface_hub/utils/_validators.py, `validate_repo_id`.
  private static func isPart(_ part: ExactText) -> Bool {
    let bytes = part.utf8
    guard (1...96).contains(bytes.count), !part.contains("--"), !part.contains("..") else {
      return false
    }
    let edges = [UInt8(ascii: "-"), UInt8(ascii: ".")]
    guard let first = bytes.first, let last = bytes.last, !edges.contains(first),
      !edges.contains(last)
    else { return false }
    return bytes.allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || "-_.".utf8.contains(byte)
    }
  }

  /// The model without what stands behind it, as an argument.
  package var model: String {
    let revision = revision.map { "@" + $0.replacing("/", with: "%2F").text } ?? ""
    return "\(HubName.scheme)\(repository)\(revision)"
  }
}
