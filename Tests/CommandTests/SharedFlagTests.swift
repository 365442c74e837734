import Foundation
import Support
import Testing

/// Flags that many commands have do in each of them what they say: every command that declares one is
/// run with it. `fetch` wants a server and is run in `FetchTests`.
@Suite struct SharedFlagTests {
  private let workspace: Workspace
  private let tokens: String
  private let packed: String
  private let sample = Repository.samples + "/tiny-tied"

  init() throws {
    workspace = try Workspace()
    tokens = try workspace.write("ids.json", "[3, 1, 4, 1, 5, 9, 2, 6]".utf8)
    packed = workspace.path("packed")
    #expect(try FathomProcess("pack", sample, packed).status == 0)
  }

  /// Commands that read a model, each with how it is run.
  private static let commands = [
    "inspect", "validate", "convert", "logits", "verify", "imatrix", "recipe", "diff", "hash",
    "pack", "types",
  ]

  /// The arguments that run a command on a model.
  private func arguments(_ command: String, _ model: String, output: String) -> [String] {
    let output = workspace.path(output)
    switch command {
    case "convert": return [command, model, output, "--to", "hf", "--quant", "f32"]
    case "logits": return [command, model, "--tokens", tokens, "-o", output]
    case "imatrix": return [command, model, "--tokens", tokens, "-o", output]
    case "verify": return [command, model, model, "--tokens", tokens, "-o", output]
    case "recipe":
      return [
        command, model, "--tokens", tokens, "--bpw", "9", "--groups", "4", "--types", "q8_0,q4_0",
        "-o", output,
      ]
    case "diff": return [command, model, model, "-o", output]
    case "pack": return [command, model, output]
    case "unpack": return [command, packed, output]
    case "edit": return [command, model + "/model.safetensors", "--set", "a=str:b", "--dry-run"]
    case "types": return [command, "hf", "--model", model, "-o", output]
    default: return [command, model]
    }
  }

  private func flags(of command: String) throws -> Set<String> {
    let help = try FathomProcess(["help", command], environment: ["COLUMNS": "200"]).output
    let words = help.split { !($0.isLetter || $0.isNumber || $0 == "-") }.map(String.init)
    return Set(words.filter { $0.hasPrefix("--") })
  }

  @Test(arguments: commands + ["unpack", "edit"]) func theConsoleIsAsAsked(command: String) throws {
    let base = arguments(command, sample, output: "first")
    let plain = try FathomProcess(base)
    #expect(plain.status == 0, "\(plain.messages)")
    let flags = try flags(of: command)
    func run(_ more: String...) throws -> FathomProcess {
      let name = more.joined()
      let run = try FathomProcess(arguments(command, sample, output: name) + more)
      #expect(run.status == 0, "\(more): \(run.messages)")
      return run
    }
    #expect(flags.isSuperset(of: ["--quiet", "--verbose", "--color"]))
    #expect(try run("--quiet").messages.isEmpty)
    #expect(try run("--verbose").messages.contains("fathom: 0.0 s: started: fathom "))
    #expect(try !run("--color", "never").output.contains("\u{1B}"))
    #expect(try FathomProcess(base + ["--color", "sometimes"]).status == 64)
    for (flag, value, wrong) in [
      ("--progress", "never", "sometimes"), ("--threads", "1", "0"), ("--cache", "1MB", "much"),
    ] where flags.contains(flag) {
      _ = try run(flag, value)
      let refused = try FathomProcess(arguments(command, sample, output: "no") + [flag, wrong])
      #expect(refused.status == 64 && refused.messages.contains(flag), "\(refused.messages)")
    }
  }

  @Test(arguments: commands) func outputsAreReplacedWhereThatIsAsked(command: String) throws {
    guard try flags(of: command).contains("--overwrite") else { return }
    var base = arguments(command, sample, output: "report")
    if !base.contains(workspace.path("report")) { base += ["-o", workspace.path("report")] }
    #expect(try FathomProcess(base).status == 0)
    let refused = try FathomProcess(base)
    #expect(refused.status == 73 && refused.messages.contains("exists already"))
    #expect(try FathomProcess(base + ["--overwrite"]).status == 0)
  }

  /// A report in a file is the one that is printed.
  @Test(arguments: ["inspect", "hash", "diff", "types"])
  func aReportGoesWhereItIsSent(command: String) throws {
    var base = arguments(command, sample, output: "report")
    if let place = base.firstIndex(of: "-o") { base.removeSubrange(place...) }
    let printed = try FathomProcess(base)
    for flag in ["-o", "--output"] {
      let file = workspace.path("report" + flag)
      #expect(try FathomProcess(base + [flag, file]).output.isEmpty)
      #expect(try contents(file) == Array(printed.output.utf8))
      #expect(try FathomProcess(base + [flag, "-"]).output == printed.output)
    }
  }

  /// Weights behind a link that leads elsewhere are read where that is asked.
  @Test(arguments: commands) func linksAreFollowedWhereThatIsAsked(command: String) throws {
    let (files, model) = (FileManager.default, workspace.path("linked"))
    try files.createDirectory(atPath: model, withIntermediateDirectories: false)
    for name in try files.contentsOfDirectory(atPath: sample) where name != "expected.safetensors" {
      if name.hasSuffix(".safetensors") {
        try files.createSymbolicLink(
          atPath: "\(model)/\(name)", withDestinationPath: "\(sample)/\(name)")
      } else {
        try files.copyItem(atPath: "\(sample)/\(name)", toPath: "\(model)/\(name)")
      }
    }
    let refused = try FathomProcess(arguments(command, model, output: "no"))
    #expect(refused.status != 0 && !refused.messages.isEmpty || refused.status == 1)
    let followed = try FathomProcess(arguments(command, model, output: "yes") + ["--follow-links"])
    #expect(followed.status == 0, "\(followed.messages)")
  }

  /// A tensor that may change the network stops a command, or is named and left out.
  @Test(arguments: ["convert", "logits", "verify", "imatrix", "recipe"])
  func whatIsUnknownIsIgnoredWhereThatIsAsked(command: String) throws {
    let model = try workspace.copy(sample: "tiny-tied")
    var file = try SafetensorsRewriter(model + "/model.safetensors")
    file.add("model.layers.0.self_attn.attn_sink", "BF16", count: 2, [0, 0, 0, 0])
    try file.write()
    #expect(try flags(of: command).contains("--ignore-unknown"))
    var refused = arguments(command, model, output: "no")
    // A copy of all tensors leaves nothing out.
    if command == "convert" { refused[4] = "gguf" }
    let run = try FathomProcess(refused)
    #expect(run.status == 65 && run.messages.contains("attn_sink"), "\(run.messages)")
    let ignoring = try FathomProcess(refused + ["--ignore-unknown"])
    #expect(ignoring.status == 0, "\(ignoring.messages)")
    // The report says so, wherever it goes.
    let report = command == "verify" ? try contents(workspace.path("no")) : []
    let words = ignoring.messages + ignoring.output + String(decoding: report, as: UTF8.self)
    #expect(words.contains("attn_sink"), "\(words)")
  }

  /// A text is one message where that is asked, and a model without a template takes none.
  @Test(arguments: ["logits", "verify", "imatrix", "recipe"])
  func aTextIsAMessageWhereThatIsAsked(command: String) throws {
    let model = try workspace.copy(sample: "tiny-tied")
    let text = try workspace.write("text.txt", "What is a checkpoint, then?".utf8)
    func run(_ output: String) throws -> FathomProcess {
      var base = arguments(command, model, output: output)
      let place = try #require(base.firstIndex(of: "--tokens"))
      base.replaceSubrange(place...(place + 1), with: ["--text", text, "--chat"])
      if ["imatrix", "recipe"].contains(command) { base += ["--chunk-size", "4"] }
      return try FathomProcess(base)
    }
    let refused = try run("no")
    #expect(
      refused.status != 0 && refused.messages.contains("chat template"), "\(refused.messages)")
    try workspace.write("tiny-tied/chat_template.jinja", "{{ messages[0].content }}".utf8)
    let taken = try run("yes")
    #expect(taken.status == 0, "\(taken.messages)")
  }
}
