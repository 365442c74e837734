import Foundation
import Support
import Testing

/// What the documents show happens: every line of their shell blocks is run, in order, on a small
/// model that stands where DeepSeek-V3 would, here and on the hub, and what they show of a run is
/// what a run prints.
@Suite struct DocumentTests {
  /// A piece of a document between two fences.
  private struct Block {
    let language: String
    var lines: [String] = []
  }

  private static func text(_ document: String) throws -> String {
    String(decoding: try contents("\(Repository.root)/\(document)"), as: UTF8.self)
  }

  private static func blocks(of document: String) throws -> [Block] {
    var (blocks, open): ([Block], Block?) = ([], nil)
    for line in try text(document).split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("```") {
        if let block = open {
          blocks.append(block)
          open = nil
        } else {
          open = Block(language: String(line.dropFirst(3)))
        }
      } else {
        open?.lines.append(String(line))
      }
    }
    return blocks
  }

  /// A folder with what the examples name.
  private func folder() throws -> Workspace {
    let workspace = try Workspace()
    try FileManager.default.copyItem(
      atPath: Repository.samples + "/tiny-trained", toPath: workspace.path("DeepSeek-V3"))
    try FileManager.default.createSymbolicLink(
      atPath: workspace.path("Samples"), withDestinationPath: Repository.samples)
    func start(of text: String) throws -> String {
      let path = "\(Repository.samples)/text/\(text).txt"
      return try String(String(contentsOfFile: path, encoding: .utf8).prefix(1000))
    }
    for (name, text) in try [
      "book.txt": start(of: "unseen"), "question.txt": "What is a checkpoint, then?",
      "calibration.txt": start(of: "learned"),
      "chat.jinja": "{{ messages[0].content }}",
      "ids.json": "[\((0..<48).map { String($0 * 5 % 281) }.joined(separator: ","))]",
      "limits.json": #"{"main": {"max-kl": 0.05}}"#,
    ] { try workspace.write(name, text.utf8) }
    return workspace
  }

  /// Runs a line as a shell would; every model on the hub is the same one.
  private func run(
    _ line: String, in workspace: Workspace, _ hub: HubDouble
  ) throws -> FathomProcess {
    return try FathomProcess(
      program: "/bin/bash", ["-c", "exec 2>&1; \(line)"],
      environment: [
        "PATH": FathomProcess.searchPath, "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": workspace.path("cache"), "HF_HUB_CACHE": "", "HF_HUB_OFFLINE": "",
        "HF_TOKEN": "", "no_proxy": "*",
      ], folder: workspace.path)
  }

  /// Runs the lines one after the other, each in the folder that those before it have left.
  private func runAll(_ lines: [String], of document: String) throws {
    let workspace = try folder()
    let hub = try HubDouble(workspace.path("DeepSeek-V3"))
    for line in lines {
      // The small model has 4 heads, and scales of its own for none of them.
      let fitting = line.replacingOccurrences(of: "--mp 16", with: "--mp 1")
      let result = try run(fitting, in: workspace, hub)
      #expect(result.status == 0, "\(document): \(line)\n\(result.output)")
    }
  }

  /// Documents with blocks for a shell.
  private static let shellDocuments = [
    "README.md", "docs/commands.md", "docs/tutorials.md", "docs/cluster.md", "Samples/ci/README.md",
  ]

  @Test(arguments: shellDocuments)
  func everyLineOfShellDoesWhatItSays(document: String) throws {
    let lines = try DocumentTests.blocks(of: document).filter { $0.language == "sh" }
      .flatMap(\.lines).filter { !$0.isEmpty && !$0.hasPrefix("scripts/") }
    #expect(!lines.isEmpty)
    #expect(lines.allSatisfy { $0.contains("fathom ") || $0.hasPrefix("mkdir ") }, "\(lines)")
    try runAll(lines, of: document)
  }

  /// What is no example for a shell says so by its language; what has none is a picture, a form, or lines
  /// that `scripts/interop` runs.
  @Test func noExampleIsLeftOut() throws {
    let known: Set = ["sh", "console", "swift", "yaml", "json"]
    for document in try DocumentTests.documents() {
      let blocks = try DocumentTests.blocks(of: document)
      #expect(
        blocks.contains { $0.language == "sh" } == DocumentTests.shellDocuments.contains(document),
        "\(document)")
      for block in blocks where !known.contains(block.language) {
        #expect(block.language.isEmpty, "\(document): \(block.language)")
        let commands = block.lines.filter { $0.hasPrefix("fathom ") || $0.hasPrefix("$ ") }
        #expect(commands.isEmpty, "\(document): not run: \(commands)")
      }
    }
  }

  /// The README and all pages of `docs`.
  private static func documents() throws -> [String] {
    let names = try FileManager.default.contentsOfDirectory(atPath: "\(Repository.root)/docs")
    return ["README.md", "CONTRIBUTING.md", "SECURITY.md", "Samples/ci/README.md"]
      + names.filter { $0.hasSuffix(".md") }.map { "docs/" + $0 }.sorted()
  }

  /// The table of jobs has its commands in its cells.
  @Test func everyCommandOfTheTableOfJobsRuns() throws {
    let rows = try DocumentTests.text("README.md").split(separator: "\n")
      .filter { $0.hasPrefix("| ") && $0.contains("`fathom ") }
    #expect(rows.count == 12)
    let lines = rows.flatMap { row in
      row.split(separator: "`").map(String.init).filter { $0.hasPrefix("fathom ") }
    }
    // What was published with the model, and what other rows have made.
    let before = ["fathom hash DeepSeek-V3 -o v3.hashes"]
    try runAll(before + lines, of: "README.md")
  }

  /// Each command's help has two examples, which do what they say where their inputs are.
  @Test func everyExampleOfHelpRuns() throws {
    let commands = [
      "inspect", "validate", "convert", "resume", "logits", "verify", "imatrix", "recipe", "diff",
      "hash", "pack", "unpack", "types", "edit", "fetch",
    ]
    let root = try FathomProcess(["--help"], environment: ["COLUMNS": "200"]).output
    let listed = root.split(separator: "\n").filter { $0.hasPrefix("  ") }
      .compactMap { $0.split(separator: " ").first.map(String.init) }
    #expect(Set(commands).isSubset(of: listed))
    #expect(listed.count { !$0.hasPrefix("-") && $0 != "See" } == commands.count)
    var lines = [
      "fathom convert DeepSeek-V3 v3-q4.gguf --to gguf --quant q4_k_m",
      "fathom convert DeepSeek-V3 V3-bf16 --to hf --quant bf16",
      "fathom convert DeepSeek-V3 v3-half.gguf --to gguf --quant q8_0 --part 1/2",
      "fathom imatrix DeepSeek-V3 --tokens ids.json -o other.gguf",
      "mkdir work && cp v3-q4.gguf q4.gguf",
      "fathom imatrix DeepSeek-V3 --tokens ids.json --part 1/2 --parts work",
      "fathom verify DeepSeek-V3 q4.gguf --tokens ids.json --part 1/2 --parts work",
    ]
    for command in commands {
      let help = try FathomProcess(["help", command], environment: ["COLUMNS": "80"]).output
      let examples = help.split(separator: "\n").filter { $0.hasPrefix("  fathom \(command) ") }
      #expect(examples.count >= 2, "\(command)")
      // Files of two runs are merged where their chunks are alike.
      lines += examples.map {
        $0.trimmingCharacters(in: .whitespaces).replacingOccurrences(
          of: "imatrix DeepSeek-V3 --text book.txt", with: "imatrix DeepSeek-V3 --tokens ids.json")
      }
    }
    try runAll(lines, of: "help")
  }

  /// Lines that are shown are printed, in their order; … stands for any others.
  @Test(arguments: ["README.md"])
  func whatIsShownOfARunIsWhatItPrints(document: String) throws {
    let workspace = try folder()
    let hub = try HubDouble(workspace.path("DeepSeek-V3"))
    let blocks = try DocumentTests.blocks(of: document).filter { $0.language == "console" }
    #expect(!blocks.isEmpty)
    for block in blocks {
      let starts = block.lines.indices.filter { block.lines[$0].hasPrefix("$ ") }
      #expect(starts.first == 0)
      for (start, end) in zip(starts, starts.dropFirst() + [block.lines.count]) {
        let shown = block.lines[(start + 1)..<end]
        let result = try run(String(block.lines[start].dropFirst(2)), in: workspace, hub)
        var printed = result.output.split(separator: "\n").map(String.init)[...]
        var mayPass = false
        for line in shown {
          if line == "…" {
            mayPass = true
            continue
          }
          let place =
            mayPass
            ? printed.firstIndex { PrintedLine.isSame($0, line) }
            : printed.first.flatMap { PrintedLine.isSame($0, line) ? printed.startIndex : nil }
          guard let place else {
            Issue.record(
              "\(document): \(block.lines[start]): not printed: \(line)\n\(result.output)")
            break
          }
          printed = printed[(place + 1)...]
          mayPass = false
        }
      }
    }
  }
}
