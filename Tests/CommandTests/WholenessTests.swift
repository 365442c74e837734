import Foundation
import Support
import Testing

/// Whether files are whole: stretches of zeros, files beside a checkpoint, indexes of other files, and
/// files of which nothing can be read.
@Suite struct WholenessTests {
  private func findings(_ path: String, deep: Bool = false) throws -> (
    status: Int32, [JSONDocument]
  ) {
    let run = try FathomProcess(
      ["validate", path, "--format", "json"] + (deep ? ["--deep"] : []))
    return (run.status, try JSONDocument(run.output).list("findings"))
  }

  /// Overwrites bytes of a file with zeros.
  private func zero(_ path: String, from start: Int, to end: Int) throws {
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    try file.seek(toOffset: UInt64(start))
    try file.write(contentsOf: Data(count: end - start))
    try file.close()
  }

  // MARK: Zeros

  @Test(arguments: ["tiny-bf16", "tiny-fp8", "tiny-int4"])
  func aTailOfZerosIsOneErrorAndStopsConversions(sample: String) throws {
    let workspace = try Workspace()
    let path = try SampleTensors(sample).write(to: workspace)
    let file = path + "/model.safetensors"
    let size = try contents(file).count
    try zero(file, from: size * 2 / 3, to: size)
    #expect(try findings(path).status == 0)
    let (status, found) = try findings(path, deep: true)
    #expect(status == 1)
    #expect(found.map { $0.string("rule") } == ["zero-extent"], "\(found)")
    #expect(found.first?.string("found")?.contains("to the end are zero") == true)
    for target in [["hf", "--quant", "bf16"], ["gguf", "--quant", "f16"], ["mlx"]] {
      let run = try FathomProcess(
        ["convert", path, workspace.path("out"), "--mtp", "drop", "--to"] + target)
      #expect(run.status == 65, "\(target): \(run.messages)")
      #expect(run.messages.contains("to the end are zero"), "\(run.messages)")
    }
    #expect(try workspace.names() == ["model"])
  }

  /// The end of one shard, in every format that is read.
  @Test(arguments: ["gguf", "mlx", "deepseek"])
  func tailsInOtherFormats(format: String) throws {
    let workspace = try Workspace()
    let made = workspace.path("made" + (format == "gguf" ? ".gguf" : ""))
    let run = try FathomProcess(
      ["convert", Repository.samples + "/tiny-bf16", made, "--mtp", "drop", "--to", format]
        + (format == "gguf" ? ["--quant", "bf16"] : format == "deepseek" ? ["--mp", "1"] : []))
    #expect(run.status == 0, "\(run.messages)")
    let names = format == "gguf" ? [""] : try workspace.names("made")
    let file =
      format == "gguf"
      ? made : made + "/" + (try #require(names.first { $0.hasSuffix(".safetensors") }))
    let size = try contents(file).count
    try zero(file, from: size / 2, to: size)
    let (status, found) = try findings(made, deep: true)
    #expect(status == 1)
    #expect(found.filter { $0.string("rule") == "zero-extent" }.count == 1, "\(found)")
    let conversion = try FathomProcess(
      "convert", made, workspace.path("out"), "--to", "hf", "--quant", "f16")
    #expect(conversion.status == 65)
    #expect(conversion.messages.contains("to the end are zero"), "\(conversion.messages)")
  }

  @Test func anExpertOfZerosIsAnErrorAndAWarningOfConversions() throws {
    let workspace = try Workspace()
    var model = try SampleTensors("tiny-bf16")
    for name in model.tensors.keys where name.contains("layers.1.mlp.experts.3.") {
      model[name] = model[name].zeroed
    }
    let path = try model.write(to: workspace)
    let (status, found) = try findings(path, deep: true)
    #expect(status == 1)
    #expect(found.map { $0.string("rule") } == ["zero-extent"], "\(found)")
    let run = try FathomProcess(
      "convert", path, workspace.path("out"), "--to", "hf", "--quant", "f16", "--format", "json")
    #expect(run.status == 0)
    #expect(run.messages.contains("3 weights of the source hold nothing but zeros"))
    #expect(run.output.contains("3 weights of the source hold nothing but zeros"))
  }

  /// The weight is nothing but zeros then, whatever its codes say.
  @Test(arguments: ["tiny-fp8", "tiny-int4", "mlx"])
  func conversionsNameScalesOfZeroBesideCodes(sample: String) throws {
    let workspace = try Workspace()
    var source = Repository.samples + "/" + sample
    if sample == "mlx" {
      source = workspace.path("mlx")
      let run = try FathomProcess(
        "convert", Repository.samples + "/tiny-trained", source, "--to", "mlx", "--quant", "4bit",
        "--group-size", "32", "--mtp", "drop")
      #expect(run.status == 0, "\(run.messages)")
    }
    var model = try SampleTensors(folder: source)
    let endings = [".weight_scale_inv", ".weight_scale", ".scales"]
    let name = try #require(endings.flatMap { model.names(endingWith: $0) }.first)
    model[name] = model[name].zeroed
    let path = try model.write(to: workspace)
    let run = try FathomProcess(
      "convert", path, workspace.path("out"), "--to", "hf", "--quant", "f32")
    #expect(run.status == 0, "\(run.messages)")
    #expect(run.messages.contains("1 weight of the source"), "\(run.messages)")
    #expect(run.messages.contains(name), "\(run.messages)")
  }

  /// They stay what they are, in plain numbers; whoever converts hears of it.
  @Test(arguments: [("tiny-fp8", "bf16"), ("tiny-bf16", "f32")])
  func conversionsNameWhatIsNotFinite(sample: String, quant: String) throws {
    let workspace = try Workspace()
    var model = try SampleTensors(sample)
    let name = "model.layers.1.self_attn.o_proj.weight"
    for index in sample == "tiny-fp8" ? 7..<8 : 14..<16 { model[name].bytes[index] = 0x7F }
    if sample == "tiny-bf16" { model[name].bytes[14] = 0xC0 }
    let path = try model.write(to: workspace)
    let run = try FathomProcess(
      "convert", path, workspace.path("out"), "--to", "hf", "--quant", quant)
    #expect(run.status == 0, "\(run.messages)")
    #expect(run.messages.contains("1 weight of the output holds NaN"), "\(run.messages)")
    #expect(run.messages.contains(name), "\(run.messages)")
  }

  /// A few zeros at the end that are a vision tower's kernel are no interrupted download; a page of
  /// them is, and stops conversions. `validate` says that it does not check such tensors.
  @Test(arguments: [(192, 0), (8208, 65)])
  func aKernelOfAnotherPartMayBeZero(bytes: Int, status: Int32) throws {
    let workspace = try Workspace()
    var model = try SampleTensors("tiny-kimi-k25")
    let name = "vision_tower.patch_embed.proj.weight"
    model[name] = .init("BF16", [bytes / 24, 3, 2, 2], [UInt8](repeating: 0, count: bytes))
    let path = try model.write(to: workspace, last: [name])
    let validation = try FathomProcess("validate", path, "--deep")
    #expect(validation.status == 0 && validation.output.contains("not checked"))
    let run = try FathomProcess(
      "convert", path, workspace.path("out.gguf"), "--to", "gguf", "--quant", "bf16")
    #expect(run.status == status, "\(run.messages)")
  }

  @Test func normsOfZerosAreErrorsAndBiasesAreNot() throws {
    let workspace = try Workspace()
    var model = try SampleTensors("tiny-bf16")
    for name in model.names(endingWith: "e_score_correction_bias") {
      model[name] = model[name].zeroed
    }
    #expect(try findings(model.write(to: workspace, as: "biases"), deep: true).status == 0)
    // The last of a file, too.
    let biases = model.names(endingWith: "e_score_correction_bias")
    let end = try model.write(to: workspace, as: "end", last: biases)
    #expect(try findings(end, deep: true).status == 0)
    for layer in [0, 2] {
      let name = "model.layers.\(layer).input_layernorm.weight"
      model[name] = model[name].zeroed
    }
    let (status, found) = try findings(model.write(to: workspace), deep: true)
    #expect(status == 1)
    #expect(found.map { $0.string("rule") } == ["zero-extent"])
    #expect(found.first?.integer("count") == 2)
  }

  /// Tables are filled up with rows of zeros, and the file may end in them.
  @Test func rowsThatFillATableUpAreNoTail() throws {
    let workspace = try Workspace()
    var model = try SampleTensors("tiny-bf16")
    for name in ["lm_head.weight", "model.embed_tokens.weight"] {
      let half = model[name].bytes.count / 2
      model[name].bytes[half...] = ArraySlice(repeating: 0, count: half)
    }
    for name in model.names(endingWith: "head.weight") + model.names(endingWith: "tokens.weight") {
      model[name].bytes =
        model[name.hasSuffix("tokens.weight") ? "model.embed_tokens.weight" : "lm_head.weight"]
        .bytes
    }
    let path = try model.write(to: workspace, last: ["lm_head.weight"])
    #expect(try findings(path, deep: true).status == 0)
  }

  @Test func aBlockOfZerosMayHaveAScaleOfZero() throws {
    let workspace = try Workspace()
    var model = try SampleTensors("tiny-fp8")
    let name = "model.layers.1.self_attn.o_proj.weight"
    let scale = name + "_scale_inv"
    model[scale].bytes[..<4] = [0, 0, 0, 0]
    let (status, found) = try findings(model.write(to: workspace, as: "lost"), deep: true)
    #expect(status == 1 && found.map { $0.string("rule") } == ["bad-scale"], "\(found)")
    let columns = model[name].shape[1]
    model[name].bytes[..<(128 * columns)] = ArraySlice(repeating: 0, count: 128 * columns)
    let (zero, left) = try findings(model.write(to: workspace), deep: true)
    #expect(zero == 0)
    #expect(left.allSatisfy { $0.string("severity") == "warning" }, "\(left)")
  }

  // MARK: The index

  private static let three = (1...3).map { "model-0000\($0)-of-00003.safetensors" }

  @Test func anIndexOfAnotherDivisionIsNamed() throws {
    let workspace = try Workspace()
    let model = try SampleTensors("tiny-fp8")
    let path = try model.write(to: workspace, files: Self.three)
    let six = (1...6).map { "model-0000\($0)-of-00006.safetensors" }
    let other = try model.write(to: workspace, as: "other", files: six, index: true)
    let index = "/model.safetensors.index.json"
    try FileManager.default.copyItem(atPath: other + index, toPath: path + index)
    let (status, found) = try findings(path)
    #expect(status == 1)
    #expect(found.map { $0.string("rule") } == ["index-mismatch"], "\(found)")
    let hint = found.first?.string("hint") ?? ""
    #expect(!hint.contains("of-00006") && !hint.contains("download"), "\(hint)")
    for command in [["inspect", path], ["convert", path, workspace.path("out"), "--to", "hf"]] {
      let run = try FathomProcess(command)
      #expect(run.status == 65)
      #expect(run.messages.contains("without model.safetensors.index.json"), "\(run.messages)")
    }
    // The advice works.
    try FileManager.default.removeItem(atPath: path + index)
    #expect(try findings(path).status == 0)
  }

  @Test func whatTheIndexDoesNotNameIsPassedOver() throws {
    let workspace = try Workspace()
    let model = try SampleTensors("tiny-fp8")
    let path = try model.write(to: workspace, files: Self.three, index: true)
    let files = (1...2).map { "model-0000\($0)-of-00002.safetensors" }
    try SampleTensors("tiny-bf16").write(
      to: workspace, files: files + ["model.safetensors", "consolidated.safetensors"])
    try JSONSerialization.data(withJSONObject: model.config)
      .write(to: URL(fileURLWithPath: path + "/config.json"))
    let (status, found) = try findings(path)
    #expect(status == 0)
    #expect(found.map { $0.string("rule") } == ["stray-file"], "\(found)")
    #expect(found.first?.integer("count") == 4)
    #expect(found.first?.string("hint")?.contains("transformers takes model.safetensors") == true)
    let run = try FathomProcess("convert", path, workspace.path("out"), "--to", "hf")
    #expect(run.status == 0)
    #expect(run.messages.contains("passed over"), "\(run.messages)")
    #expect(try FathomProcess("inspect", path).status == 0)
  }

  @Test func aSetOfAnotherNameBesideAWholeModelIsPassedOver() throws {
    let workspace = try Workspace()
    let model = try SampleTensors("tiny-bf16")
    let path = try model.write(to: workspace, files: ["model.safetensors"], index: false)
    try FileManager.default.copyItem(
      atPath: path + "/model.safetensors", toPath: path + "/mtp-1-of-1.safetensors")
    let (status, found) = try findings(path)
    #expect(status == 0)
    #expect(found.map { $0.string("rule") } == ["stray-file"], "\(found)")
    #expect(found.first?.string("found")?.contains("mtp-1-of-1.safetensors") == true)
    let run = try FathomProcess("convert", path, workspace.path("out"), "--to", "hf")
    #expect(run.status == 0 && run.messages.contains("mtp-1-of-1.safetensors"), "\(run.messages)")
  }

  @Test func anEntryThatNobodyNeedsIsAWarning() throws {
    let workspace = try Workspace()
    let path = try SampleTensors("tiny-fp8").write(to: workspace, files: Self.three, index: true)
    let file = URL(fileURLWithPath: path + "/model.safetensors.index.json")
    let root = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
    var index = root as? [String: Any] ?? [:]
    var map = index["weight_map"] as? [String: String] ?? [:]
    map["mtp.fc.weight"] = Self.three[2]
    index["weight_map"] = map
    try JSONSerialization.data(withJSONObject: index).write(to: file)
    let (status, found) = try findings(path)
    #expect(status == 0 && found.count == 1, "\(found)")
    #expect(try FathomProcess("inspect", path).status == 0)
    #expect(
      try FathomProcess("convert", path, workspace.path("out"), "--to", "hf").status == 0)
    // One that the network needs is missing, and said once.
    map["model.norm.weight"] = Self.three[2]
    var model = try SampleTensors("tiny-fp8")
    model.tensors["model.norm.weight"] = nil
    let other = try model.write(to: workspace, as: "other", files: Self.three, index: true)
    let needed = URL(fileURLWithPath: other + "/model.safetensors.index.json")
    var entries = try JSONSerialization.jsonObject(with: Data(contentsOf: needed)) as? [String: Any]
    var places = entries?["weight_map"] as? [String: String] ?? [:]
    places["model.norm.weight"] = Self.three[2]
    entries?["weight_map"] = places
    try JSONSerialization.data(withJSONObject: entries ?? [:]).write(to: needed)
    let (lost, absent) = try findings(other)
    #expect(lost == 1)
    #expect(absent.map { $0.string("rule") } == ["missing-tensor"], "\(absent)")
  }

  // MARK: Names of shards

  /// DeepSeek's own names have five digits of six.
  @Test(arguments: [
    ("model-0000%d-of-000003.safetensors", 3), ("model-%d-of-3.safetensors", 3),
    ("model-00001-of-00003.safetensors", 0),
  ])
  func shardNamesKeepTheirWidth(pattern: String, count: Int) throws {
    let workspace = try Workspace()
    var files = Self.three
    if count > 0 { files = (1...count).map { pattern.replacing("%d", with: "\($0)") } }
    let path = try SampleTensors("tiny-fp8").write(to: workspace, files: files)
    #expect(try findings(path).status == 0)
    let one = try FathomProcess("validate", path + "/" + files[1])
    #expect(one.status == 0, "\(one.output)\(one.messages)")
    try FileManager.default.removeItem(atPath: path + "/" + files[2])
    let (status, found) = try findings(path)
    #expect(status == 1)
    // What lay in it is not listed once more.
    #expect(found.map { $0.string("file") } == [files[2]], "\(found)")
  }

  @Test func anUnreadableFileIsOneFinding() throws {
    let workspace = try Workspace()
    for (number, text) in ["version https://git-lfs.github.com/spec/v1\n", ""].enumerated() {
      let path = try SampleTensors("tiny-fp8").write(
        to: workspace, as: "model\(number)", files: Self.three)
      try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/" + Self.three[2]))
      let found = try findings(path).1
      #expect(found.count == 1, "\(found)")
      #expect(found.first?.string("file") == Self.three[2])
    }
  }
}
