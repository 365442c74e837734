import Foundation
import Platform
import Support
import Testing

/// The example of `Samples/ci` does what it says: the shell of its steps is run as GitHub runs it,
/// on a sample and its baseline.
@Suite struct CIExampleTests {
  static let folder = Repository.samples + "/ci"
  let workspace: Workspace
  let action: CompositeAction

  init() throws {
    workspace = try Workspace()
    let bytes = try contents(CIExampleTests.folder + "/action.yml")
    action = CompositeAction(String(decoding: bytes, as: UTF8.self))
  }

  /// Runs the steps one after the other until one fails.
  ///
  /// - Returns: each step's exit code by its name, and what the steps handed on.
  private func run(
    _ inputs: [String: String]
  ) throws -> (codes: [String: Int32], outputs: [String: String], messages: String) {
    var values = ["github.action_path": CIExampleTests.folder]
    for (name, value) in action.defaults.merging(inputs, uniquingKeysWith: { $1 }) {
      values["inputs.\(name)"] = value
    }
    #expect(action.required.isSubset(of: Set(inputs.keys)))
    var codes: [String: Int32] = [:]
    var messages = ""
    for step in action.steps {
      let output = try workspace.write("output", [])
      var environment = [
        "GITHUB_OUTPUT": output, "GITHUB_STEP_SUMMARY": workspace.path("summary"),
      ]
      for (key, value) in step.environment {
        let filled: String = try #require(CompositeAction.filled(value, values), "\(value)")
        environment[key] = filled
      }
      let run = try shell(step.script, environment)
      codes[step.name] = run.status
      messages += run.output + run.messages
      for line in String(decoding: try contents(output), as: UTF8.self).split(separator: "\n") {
        let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
        values["steps.\(step.id).outputs.\(parts[0])"] = parts[1]
      }
      if run.status != 0 { break }
    }
    return (codes, values, messages)
  }

  /// Runs a script as the documentation of GitHub's `shell: bash` gives it.
  private func shell(_ script: String, _ environment: [String: String]) throws -> FathomProcess {
    let path = try workspace.write("step.sh", script.utf8)
    return try FathomProcess(
      program: "/bin/bash", ["--noprofile", "--norc", "-eo", "pipefail", path],
      environment: environment, folder: workspace.path)
  }

  /// Runs the step that installs, which finds a script of ours under the name of a tool; returns what
  /// it hands on too.
  private func install(
    with tool: String, doing script: String, _ environment: [String: String]
  ) throws -> (run: FathomProcess, output: String) {
    let tool = try workspace.write("bin/" + tool, script.utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: tool)
    let step = try #require(action.steps.first { $0.id == "install" })
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    let output = try workspace.write("output", [])
    let run = try shell(
      step.script,
      environment.merging([
        "PATH": workspace.path("bin") + ":" + path, "GITHUB_OUTPUT": output, "FATHOM": "",
      ]) { $1 })
    return (run, String(decoding: try contents(output), as: UTF8.self))
  }

  private var inputs: [String: String] {
    [
      "model": Repository.samples + "/tiny-trained", "fathom": FathomProcess.path,
      "reference": CIExampleTests.folder + "/tiny-trained.baseline",
      "thresholds": CIExampleTests.folder + "/limits.json",
      "recipe": CIExampleTests.folder + "/recipe.json",
    ]
  }

  @Test func aGoodModelPassesAndIsReported() throws {
    let result = try run(inputs)
    #expect(result.codes.count == 4 && result.codes.values.allSatisfy { $0 == 0 }, "\(result)")
    #expect(result.outputs["steps.verify.outputs.verdict"] == "pass")
    let names = try workspace.names("fathom-reports")
    #expect(names == ["junit.xml", "report.html", "report.json", "summary.md"])
    let junit = try contents(workspace.path("fathom-reports/junit.xml"))
    #expect(try XMLSchema(named: "junit").faults(in: String(decoding: junit, as: UTF8.self)) == [])
    let summary = try contents(workspace.path("summary"))
    #expect(summary == (try contents(workspace.path("fathom-reports/summary.md"))))
    #expect(String(decoding: summary, as: UTF8.self).contains("pass"))
  }

  /// What does not hold is reported all the same, and then ends the job.
  @Test func aLimitThatDoesNotHoldEndsTheJobInTheEnd() throws {
    let limits = try workspace.write("limits.json", "{\"main\": {\"max-kl\": 1e-12}}".utf8)
    let result = try run(inputs.merging(["thresholds": limits]) { $1 })
    #expect(result.codes["Verify"] == 0 && result.codes["Hold to the verdict"] == 1, "\(result)")
    #expect(result.outputs["steps.verify.outputs.verdict"] == "fail")
    let summary = String(decoding: try contents(workspace.path("summary")), as: UTF8.self)
    #expect(summary.contains("fail") && summary.contains("max-kl"))
  }

  @Test(arguments: [("model", "Convert"), ("reference", "Verify"), ("thresholds", "Verify")])
  func whatIsMissingEndsTheJobThere(input: String, step: String) throws {
    let result = try run(inputs.merging([input: workspace.path("none")]) { $1 })
    #expect(result.codes[step] == 66, "\(result)")
    #expect(result.outputs["steps.verify.outputs.verdict"] == nil)
  }

  /// The step that installs, with a `curl` that copies.
  @Test func aReleaseIsFetchedAndItsChecksumHeld() throws {
    let release = workspace.path("release")
    let folder = release + "/fathom-1/bin"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: FathomProcess.path, toPath: folder + "/fathom")
    let made = try FathomProcess(
      program: "/bin/bash",
      ["-ec", "tar -C release -cf archive fathom-1; sha256sum archive | cut -d' ' -f1"],
      environment: [:], folder: workspace.path)
    let sum = made.output.trimmingCharacters(in: .whitespacesAndNewlines)
    #expect(sum.count == 64, "\(made.messages)")
    let copies = """
      #!/bin/bash
      while [ $# -gt 1 ]; do [ "$1" = --output ] && to=$2; shift; done
      cp "$1" "$to"
      """
    func install(_ sum: String) throws -> (run: FathomProcess, output: String) {
      try self.install(
        with: "curl", doing: copies,
        [
          "ARCHIVE": workspace.path("archive"), "SHA256": sum, "SOURCE": "/nowhere",
          "TMPDIR": workspace.path,
        ])
    }
    let good = try install(sum)
    #expect(good.run.status == 0 && good.run.output == FathomVersion.text + "\n", "\(good)")
    #expect(good.output.hasPrefix("fathom=\(workspace.path)"))
    #expect(good.output.hasSuffix("/fathom-1/bin/fathom\n"))
    let other = try install(String(sum.reversed()))
    #expect(other.run.status == 1 && other.output.isEmpty, "\(other)")
  }

  /// The step that builds, with a compiler that only says where the program would be.
  @Test func theProgramIsBuiltFromTheActionsOwnRepository() throws {
    let log = workspace.path("log")
    let script = """
      #!/bin/bash
      echo "$@" >> '\(log)'
      case "$*" in *--show-bin-path*) dirname '\(FathomProcess.path)' ;; esac
      """
    let (run, found) = try install(
      with: "swift", doing: script, ["SOURCE": CIExampleTests.folder + "/../.."])
    let said = run.output + run.messages
    #expect(run.status == 0 && run.output.contains(FathomVersion.text), "\(said)")
    #expect(found == "fathom=\(FathomProcess.path)\n")
    let calls = String(decoding: try contents(log), as: UTF8.self)
    #expect(calls.contains("build -c release") && calls.contains("--product fathom"))
    #expect(FileManager.default.fileExists(atPath: CIExampleTests.folder + "/../../Package.swift"))
  }

  /// The limits let pass what a reader would, and catch what loses more.
  @Test(arguments: [("q8_0", 0), ("q6_k", 0), ("q4_k_m", 1)] as [(String, Int32)])
  func itsLimitsTellFourBitsFromSix(quant: String, status: Int32) throws {
    let model = workspace.path("model.gguf")
    let conversion = try FathomProcess(
      "convert", Repository.samples + "/tiny-trained", model, "--to", "gguf", "--quant", quant)
    #expect(conversion.status == 0, "\(conversion.messages)")
    let run = try FathomProcess(
      "verify", CIExampleTests.folder + "/tiny-trained.baseline", model, "--thresholds",
      CIExampleTests.folder + "/limits.json")
    #expect(run.status == status, "\(run.output)")
  }

  @Test func itsFilesAreWhatTheSchemasSay() throws {
    for (file, schema) in [("limits.json", "verify"), ("recipe.json", "recipe")] {
      let text = String(decoding: try contents("\(CIExampleTests.folder)/\(file)"), as: UTF8.self)
      #expect(try JSONSchema(named: schema).faults(in: JSONDocument(text)).isEmpty)
    }
    let workflow = String(
      decoding: try contents(CIExampleTests.folder + "/verify-model.yml"), as: UTF8.self)
    #expect(workflow.contains("/Samples/ci@"))
    // The workflow gives the action what it asks for, and nothing that it does not know.
    let given = workflow.components(separatedBy: "id: fathom\n        with:\n").last ?? ""
    let names = given.split(separator: "\n").prefix { $0.hasPrefix("          ") }.map {
      String($0.trimmingCharacters(in: .whitespaces).prefix { $0 != ":" })
    }
    #expect(action.required.isSubset(of: Set(names)))
    #expect(Set(names).isSubset(of: action.required.union(action.defaults.keys)))
  }
}
