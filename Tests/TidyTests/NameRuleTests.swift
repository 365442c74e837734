import Testing

/// Names of files and tensors are compared and cut by bytes: `ExactText`, `RawName`, `Folder.name`.
///
/// Swift's strings are equal where a reader would find them so, and count what a reader takes for a
/// letter; two files of one folder can be one string.
@Suite struct NameRuleTests {
  /// Rooms in which `name` is a file's or a tensor's; elsewhere it may be a key's or a token's.
  static let rooms: Set<String> = ["Formats", "Tiles", "Conversion"]

  /// Variables of a file that hold names or paths as strings.
  static func variables(_ file: SourceFile) -> Set<String> {
    let code = file.lines.filter { !NameRuleTests.isComment($0) }.joined(separator: "\n")
    var found: Set<String> = ["path"]
    // Elsewhere in the file the same word may be a descriptor.
    let numbers = Set(code.matches(of: #/\b([a-z]\w*): Int32\b/#).map { String($0.1) })
    for match in code.matches(of: #/\b([a-z]\w*): \[?(String|Substring)\b/#) {
      let words = match.1.split { $0.isUppercase }
      let last = match.1.suffix(words.last.map { $0.count + 1 } ?? 0).lowercased()
      let kinds = ["path", "file", "folder", "directory", "tensor", "shard"]
      let isName = rooms.contains(file.room) && ["name", "module"].contains { last.hasSuffix($0) }
      if isName || kinds.contains(where: last.hasSuffix) { found.insert(String(match.1)) }
    }
    return found.subtracting(numbers)
  }

  /// Lines that compare or cut such a variable as a string.
  static func violations(_ file: SourceFile) -> [Int] {
    let variables = variables(file)
    return file.lines.indices.filter { index in
      let line = file.lines[index]
      guard !isComment(line) else { return false }
      let cuts = line.matches(
        of:
          #/\b([a-z]\w*)\.(hasPrefix|hasSuffix|split|contains|starts|firstIndex|lastIndex|range|replacing|lowercased|uppercased|dropFirst|dropLast)\b/#
      )
      let compares = line.matches(of: #/\b([a-z]\w*) (==|!=|<|>) (?!nil\b|[0-9])/#)
      let compared = line.matches(of: #/ (==|!=) (?:[a-z]\w*\.)*([a-z]\w*)\b(?![.(])/#)
      return cuts.contains { variables.contains(String($0.1)) }
        || compares.contains { variables.contains(String($0.1)) }
        || compared.contains { variables.contains(String($0.2)) }
    }
  }

  private static func isComment(_ line: Substring) -> Bool {
    line.drop { $0 == " " }.hasPrefix("//")
  }

  @Test func stringsAreFound() {
    func violations(_ code: String, room: String = "Platform") -> [Int] {
      NameRuleTests.violations(
        SourceFile(path: "Sources/\(room)/A.swift", lines: code.split(separator: "\n")))
    }
    let declared = "func f(_ outputFile: String, path: String, name: String)\n"
    #expect(violations(declared + "outputFile.hasSuffix(x)") == [1])
    #expect(violations(declared + "if a.path == b.path {") == [1])
    #expect(violations(declared + "if x != path {\n  // path == x") == [1])
    let bytes = "if path != nil && ExactText(path) == y && x == path.count"
    #expect(violations(declared + bytes) == [])
    #expect(violations(declared + "name.split(separator: x)") == [])
    #expect(violations(declared + "name.split(separator: x)", room: "Formats") == [1])
  }

  @Test(arguments: SourceTree.sources)
  func namesAreBytes(file: SourceFile) {
    for index in NameRuleTests.violations(file) {
      Issue.record("\(file.path):\(index + 1): \(file.lines[index])")
    }
  }
}
