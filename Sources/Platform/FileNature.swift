/// What a file is that is not what its name says: found by its first bytes.
///
/// Downloads leave pointers, pages and beginnings under the names of weights; every parser that calls
/// such a file malformed asks here what it is, so that the user hears what to do instead of which
/// byte is wrong.
package enum FileNature: Sendable, Hashable {
  /// What Git leaves in place of a large file, of so many bytes where it says so.
  case pointer(size: Int?)
  /// A page in HTML or XML, as proxies and servers send in place of a file.
  case page
  /// An archive, or a compressed file; what it is called, and whether `torch.save` may have made it.
  case archive(String, mayBeTorch: Bool)
  /// A Python object, as `torch.save` wrote them before archives.
  case pickle
  /// A GGUF file.
  case gguf
  /// A safetensors file.
  case safetensors
  /// An array of NumPy, an HDF5 file, or a file of ggml from before GGUF.
  case other(String)
  /// JSON.
  case json
  /// A text in UTF-16.
  case utf16
  /// Any other text of several words, by its beginning.
  case text(String)
  /// Zeros: room that a download has taken and not filled.
  case zeros
  /// No bytes at all.
  case empty

  /// What parsers ask for.
  package enum Form: Sendable, Hashable { case safetensors, gguf, json, text }

  /// What a parser would take it for; nil for none.
  var form: Form? {
    switch self {
    case .safetensors: .safetensors
    case .gguf: .gguf
    case .json: .json
    case .text: .text
    default: nil
    }
  }

  /// Bytes that are looked at.
  private static let length = 512

  /// Looks at an open file; nil for what is none of these.
  ///
  /// - Throws: `.inputOutput` where it cannot be read.
  package static func of(_ file: InputFile) throws(Fault) -> FileNature? {
    FileNature(
      beginning: try file.read(at: 0, count: min(length, file.size)), isWhole: file.size <= length)
  }

  /// Files by the bytes that they begin with.
  private static let marks: [(bytes: [UInt8], nature: FileNature)] = [
    (Array("version https://git-lfs.github.com/".utf8), .pointer(size: nil)),
    (Array("version https://hawser.github.com/".utf8), .pointer(size: nil)),
    (Array("# xet version".utf8), .pointer(size: nil)),
    ([0x50, 0x4B, 0x03, 0x04], .archive("zip", mayBeTorch: true)),
    ([0x50, 0x4B, 0x05, 0x06], .archive("zip", mayBeTorch: false)),
    ([0x1F, 0x8B], .archive("gzip", mayBeTorch: false)),
    ([0x28, 0xB5, 0x2F, 0xFD], .archive("zstd", mayBeTorch: false)),
    ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], .archive("xz", mayBeTorch: false)),
    ([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], .archive("7z", mayBeTorch: false)),
    (Array("Rar!".utf8), .archive("rar", mayBeTorch: false)),
    (Array("GGUF".utf8), .gguf),
    ([0x93] + Array("NUMPY".utf8), .other("a NumPy array")),
    ([0x89] + Array("HDF".utf8), .other("an HDF5 file")),
    (Array("lmgg".utf8), .other("a GGML file, older than GGUF")),
    (Array("fmgg".utf8), .other("a GGML file, older than GGUF")),
    (Array("tjgg".utf8), .other("a GGML file, older than GGUF")),
    ([0xFF, 0xFE], .utf16), ([0xFE, 0xFF], .utf16),
  ]

  /// What begins with such bytes.
  ///
  /// - Parameter isWhole: whether they are all of the file.
  package init?(beginning bytes: [UInt8], isWhole: Bool) {
    guard !bytes.isEmpty else {
      self = .empty
      return
    }
    if let found = FileNature.marks.first(where: { bytes.starts(with: $0.bytes) })?.nature {
      self = found
      if case .pointer = found { self = .pointer(size: FileNature.pointedSize(bytes)) }
      return
    }
    if bytes.allSatisfy({ $0 == 0 }) {
      self = .zeros
    } else if bytes.count > 3, bytes[0] == 0x80, (2...5).contains(bytes[1]) {
      self = .pickle
    } else if bytes.count > 262, Array(bytes[257..<262]) == Array("ustar".utf8) {
      self = .archive("tar", mayBeTorch: true)
    } else if bytes.count > 9, bytes[8] == UInt8(ascii: "{"), bytes[4..<8].allSatisfy({ $0 == 0 }) {
      self = .safetensors
    } else if let text = FileNature.text(bytes, isWhole: isWhole) {
      guard let kind = FileNature.kind(of: text) else { return nil }
      self = kind
    } else {
      return nil
    }
  }

  /// The characters, where all bytes belong to a text; a last one may be cut.
  private static func text(_ bytes: [UInt8], isWhole: Bool) -> String? {
    for cut in 0...(isWhole ? 0 : min(3, bytes.count - 1)) {
      guard let text = String(validating: bytes.dropLast(cut), as: UTF8.self) else { continue }
      let isText = text.unicodeScalars.allSatisfy {
        $0.value >= 0x20 || $0 == "\n" || $0 == "\r" || $0 == "\t"
      }
      return isText ? text : nil
    }
    return nil
  }

  private static func kind(of text: String) -> FileNature? {
    let start = text.unicodeScalars.drop {
      $0.properties.isWhitespace || $0 == "\u{FEFF}"
    }
    if start.first == "{" || start.first == "[" { return .json }
    let lower = String(String.UnicodeScalarView(start.prefix(20))).lowercased()
    let pages = ["<!doctype", "<html", "<head", "<body", "<?xml", "<error"]
    if pages.contains(where: lower.hasPrefix) { return .page }
    guard start.contains(" ") else { return nil }
    let line = start.prefix(60).prefix { $0 != "\n" && $0 != "\r" }
    return .text(String(String.UnicodeScalarView(line)))
  }

  /// The size in a pointer's line `size N`.
  private static func pointedSize(_ bytes: [UInt8]) -> Int? {
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      let words = String(decoding: line, as: UTF8.self).split { " =\r".contains($0) }
      guard words.count == 2, ["size", "filesize"].contains(words[0]) else { continue }
      return Int(words[1])
    }
    return nil
  }
}

extension FileNature {
  /// What a file is, to stand behind "is".
  package var name: String {
    switch self {
    case .pointer(let size?):
      "a Git LFS pointer to \(ByteSize.shown(size)) (\(size) bytes) that are not here"
    case .pointer: "a Git LFS pointer to a file that is not here"
    case .page: "a page in HTML or XML"
    case .archive(let kind, mayBeTorch: true): "a \(kind) archive, as torch.save writes them"
    case .archive(let kind, _): "a \(kind) archive"
    case .pickle: "a Python pickle"
    case .gguf: "a GGUF file"
    case .safetensors: "a safetensors file"
    case .other(let name): name
    case .json: "JSON"
    case .utf16: "a text in UTF-16"
    case .text(let start): "a text that begins \"\(start)\""
    case .zeros: "nothing but zeros at its beginning, as an interrupted download leaves a file"
    case .empty: "empty, as an interrupted download leaves a file"
    }
  }

  /// What to do about a file that should be something else.
  package var advice: String {
    switch self {
    case .pointer:
      "fetch the file itself: \"git lfs pull\" in the clone, or \"hf download\" of the model"
    case .page, .text, .json:
      "a server sent that in place of the file: download it again, signed in where the model asks "
        + "for it"
    case .archive(_, mayBeTorch: true), .pickle:
      "pickles can run code and are not read: load it in PyTorch with weights_only=True and save it "
        + "with safetensors.torch.save_file, or take the model's safetensors files"
    case .archive: "unpack it first"
    case .gguf: "give it the ending .gguf, and it is read as such"
    case .safetensors: "give it the ending .safetensors, and it is read as such"
    case .other: "convert it to safetensors or GGUF first"
    case .utf16: "save it in UTF-8"
    case .zeros, .empty: "a download was interrupted: download it again"
    }
  }

  /// Whether Git or a download has left it in place of the file, whatever the name says.
  package var isPlaceholder: Bool {
    switch self {
    case .pointer, .page, .zeros, .empty: true
    default: false
    }
  }

  /// The fault of a file that is this.
  package func fault(file: String) -> Fault {
    var fault = Fault(.malformed, "is \(name)", file: file)
    switch self {
    // That says it all.
    case .zeros, .empty: break
    default: fault.advice = advice
    }
    return fault
  }
}

extension InputFile {
  /// Parses the file. Where that calls it malformed and it is something else altogether, the fault
  /// says so.
  ///
  /// - Parameter form: what it should be; where it is that after all, the parser knows best.
  /// - Throws: what `parse` throws.
  package func parsed<Value>(
    as form: FileNature.Form, _ parse: () throws(Fault) -> Value
  ) throws(Fault) -> Value {
    do throws(Fault) { return try parse() } catch {
      guard error.kind == .malformed, let nature = try? FileNature.of(self), nature.form != form
      else { throw error }
      throw nature.fault(file: path)
    }
  }
}
