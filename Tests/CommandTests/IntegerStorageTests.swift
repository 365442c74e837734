import Foundation
import Support
import Testing

/// Integers as GPTQ, AWQ and bitsandbytes publish them, against numbers made by their definitions.
@Suite struct IntegerStorageTests {
  let workspace: Workspace

  init() throws { workspace = try Workspace() }

  /// One way to store matrices, and what its config says of it.
  struct Form: Sendable, CustomTestStringConvertible {
    var name: String
    var bits = 4
    /// Columns that share a scale; nil for all of a row.
    var group: Int? = 8
    /// Whether zero points are stored less one.
    var isFirst = false
    /// Whether groups are no adjacent columns.
    var isOrdered = false

    var testDescription: String { name }

    static let all = [
      Form(name: "gptq", isFirst: true), Form(name: "gptq_v2", isOrdered: true),
      Form(name: "gptq", bits: 8, group: nil, isFirst: true), Form(name: "awq"),
      Form(name: "awq", group: nil), Form(name: "bitsandbytes", bits: 8, group: nil),
    ]

    /// `quantization_config`.
    var section: [String: Any] {
      switch name {
      case "bitsandbytes": ["quant_method": name, "load_in_8bit": true]
      case "awq":
        [
          "quant_method": name, "bits": bits, "group_size": group ?? -1, "version": "gemm",
          "zero_point": true,
        ]
      default:
        [
          "quant_method": "gptq", "bits": bits, "group_size": group ?? -1, "desc_act": isOrdered,
          "checkpoint_format": name,
        ]
      }
    }
  }

  /// A row of random codes and such.
  private struct Random {
    var state: UInt64 = 31
    mutating func below(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
  }

  private static func words(_ codes: [[Int]], _ bits: Int) -> [UInt8] {
    codes.flatMap { word in
      let value = word.enumerated().reduce(UInt32(0)) {
        $0 | UInt32($1.element) << UInt32(bits * $1.offset)
      }
      return (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
  }

  private static func bytes(_ values: [Float]) -> [UInt8] {
    values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }
  }

  /// Stores one matrix (rows, columns) and gives its numbers, row after row.
  private static func store(
    _ module: String, _ rows: Int, _ columns: Int, _ form: Form, into model: inout SampleTensors,
    _ random: inout Random
  ) -> [Float] {
    if form.name == "bitsandbytes" {
      let codes = (0..<rows * columns).map { _ in Int8(random.below(255) - 127) }
      let largest = (0..<rows).map { _ in Float(1 + random.below(900)) / 999 }
      model["\(module)weight"] = .init("I8", [rows, columns], codes.map(UInt8.init(bitPattern:)))
      model["\(module)SCB"] = .init("F32", [rows], bytes(largest))
      model["\(module)weight_format"] = .init("U8", [], [0])
      return codes.indices.map { Float(codes[$0]) * (largest[$0 / columns] * (1 / 127)) }
    }
    let (top, perWord) = (1 << form.bits, 32 / form.bits)
    let size = form.group ?? columns
    let count = columns / size
    // codes[column][row], zeros[group][row]: as the files have them, by the columns.
    let codes = (0..<columns).map { _ in (0..<rows).map { _ in random.below(top) } }
    // Zero points of zero are where the first format borrows: left to the arrangement's own test.
    let zeros = (0..<count).map { _ in (0..<rows).map { _ in 1 + random.below(top - 1) } }
    let scales = (0..<count).map { _ in
      (0..<rows).map { _ in Float(1 + random.below(255)) / 4096 }
    }
    let order = (0..<columns).map { form.isOrdered ? ($0 * 11 + 3) % columns / size : $0 / size }
    model["\(module)scales"] = .init("F32", [count, rows], bytes(scales.flatMap { $0 }))
    let lessOne = form.isFirst ? 1 : 0
    func along(_ line: [Int], _ order: [Int]?) -> [[Int]] {
      stride(from: 0, to: line.count, by: perWord).map { start in
        (order ?? Array(0..<perWord)).map { line[start + $0] }
      }
    }
    let awq = form.name == "awq" ? [0, 2, 4, 6, 1, 3, 5, 7] : nil
    model["\(module)qzeros"] = .init(
      "I32", [count, rows / perWord],
      words(zeros.flatMap { along($0.map { $0 - lessOne }, awq) }, form.bits))
    if let awq {
      model["\(module)qweight"] = .init(
        "I32", [columns, rows / perWord], words(codes.flatMap { along($0, awq) }, form.bits))
    } else {
      let packed = stride(from: 0, to: columns, by: perWord).flatMap { start in
        (0..<rows).map { row in (0..<perWord).map { codes[start + $0][row] } }
      }
      model["\(module)qweight"] = .init(
        "I32", [columns / perWord, rows], words(packed, form.bits))
      model["\(module)g_idx"] = .init("I32", [columns], words(order.map { [$0] }, 32))
    }
    return (0..<rows * columns).map { index in
      let (row, column) = index.quotientAndRemainder(dividingBy: columns)
      let group = order[column]
      return Float(codes[column][row] - zeros[group][row]) * scales[group][row]
    }
  }

  /// A sample whose layers' matrices are stored so, and their true numbers.
  private func model(_ form: Form) throws -> (SampleTensors, expected: [String: [Float]]) {
    var model = try SampleTensors("tiny-bf16")
    var expected: [String: [Float]] = [:]
    var random = Random()
    for (name, tensor) in model.tensors.sorted(by: { $0.key < $1.key })
    where name.hasSuffix("_proj.weight") && !name.hasSuffix("eh_proj.weight") {
      model.tensors[name] = nil
      expected[name] = IntegerStorageTests.store(
        String(name.dropLast("weight".count)), tensor.shape[0], tensor.shape[1], form,
        into: &model, &random)
    }
    try #require(expected.count > 40)
    model.config["quantization_config"] = form.section
    return (model, expected)
  }

  private func decoded(_ path: String) throws -> SampleTensors {
    let output = workspace.path("out")
    let run = try FathomProcess("convert", path, output, "--to", "hf", "--quant", "f32")
    try #require(run.status == 0, "\(run.messages)")
    return try SampleTensors(folder: output)
  }

  @Test(arguments: Form.all) func numbersAreThoseOfTheDefinition(form: Form) throws {
    let (model, expected) = try model(form)
    let path = try model.write(to: workspace)
    let validation = try FathomProcess("validate", path, "--deep")
    #expect(validation.status == 0, "\(validation.output)")
    // What is plain though the config leaves out nothing is said: kv_a_proj_with_mqa.
    #expect(validation.output.contains("plain") || validation.output.contains("warning"))
    let inspection = try FathomProcess("inspect", path)
    let title = form.name == "awq" ? "AWQ" : form.name.hasPrefix("gptq") ? "GPTQ" : "bitsandbytes"
    #expect(inspection.output.contains("quantization  \(title)"), "\(inspection.output)")
    let written = try decoded(path)
    for (name, values) in expected {
      // Told apart before: a list of differing bytes takes minutes.
      let isSame = written[name].bytes == IntegerStorageTests.bytes(values)
      #expect(isSame, "\(name)")
    }
    #expect(written.config["quantization_config"] == nil)
    #expect(!written.tensors.keys.contains { $0.contains("qzeros") || $0.contains("SCB") })
    // The pass reads codes in place, or decodes them, and comes to the same.
    let verdict = try FathomProcess(
      "verify", path, workspace.path("out"), "--tokens",
      workspace.write("t.json", "[[1,5,9,200,3]]".utf8), "--max-kl", "1e-12")
    #expect(verdict.status == 0, "\(verdict.output)\(verdict.messages)")
  }

  /// Moved to compressed-tensors where it reads them, and refused where it does not.
  @Test(arguments: Form.all) func codesAreMoved(form: Form) throws {
    let (model, expected) = try model(form)
    let path = try model.write(to: workspace)
    let moved = workspace.path("moved")
    let run = try FathomProcess("convert", path, moved, "--to", "compressed-tensors")
    guard !form.isOrdered, form.name != "bitsandbytes" else {
      #expect(run.status == 64 && run.messages.contains("--quant"), "\(run.messages)")
      return
    }
    #expect(run.status == 0, "\(run.messages)")
    let packed = try SampleTensors(folder: moved)
    #expect(packed.tensors.keys.contains { $0.hasSuffix("weight_packed") })
    #expect(!packed.tensors.keys.contains { $0.hasSuffix("qweight") || $0.hasSuffix("g_idx") })
    let written = try decoded(moved)
    for (name, values) in expected {
      // Told apart before: a list of differing bytes takes minutes.
      let isSame = written[name].bytes == IntegerStorageTests.bytes(values)
      #expect(isSame, "\(name)")
    }
  }

  /// Older programs keep the settings beside the config.
  @Test func settingsBesideTheConfigAreRead() throws {
    var (model, expected) = try model(Form.all[0])
    model.config["quantization_config"] = nil
    let path = try model.write(to: workspace)
    let settings: [String: Any] = ["bits": 4, "group_size": 8, "desc_act": false, "sym": false]
    try workspace.write(
      "model/quantize_config.json", JSONSerialization.data(withJSONObject: settings))
    let written = try decoded(path)
    let name = try #require(expected.keys.min())
    #expect(written[name].bytes == IntegerStorageTests.bytes(expected[name] ?? []))
    #expect(try !workspace.names("out").contains("quantize_config.json"))
  }

  /// What lays words out otherwise is refused, with what it is.
  @Test(arguments: [
    ("gptq", "bits", "3", "GPTQ, 3 bits"), ("gptq", "checkpoint_format", "marlin", "gptq_v2"),
    ("gptq", "dynamic", "rule", "dynamic"), ("gptq", "pack_dtype", "int16", "pack_dtype"),
    ("gptq", "group_size", "-2", "group_size"), ("awq", "version", "gemv", "version gemv"),
    ("awq", "bits", "3", "AWQ, 3 bits"), ("bitsandbytes", "load_in_4bit", "true", "bitsandbytes"),
  ]) func otherFormsAreRefused(form: String, key: String, value: String, word: String) throws {
    var (model, _) = try model(#require(Form.all.first { $0.name == form }))
    var section = model.config["quantization_config"] as? [String: Any] ?? [:]
    section[key] =
      value == "true"
      ? true : value == "rule" ? ["+:.*down.*": ["bits": 8]] : Int(value) as Any? ?? value
    model.config["quantization_config"] = section
    let path = try model.write(to: workspace)
    let run = try FathomProcess("convert", path, workspace.path("o.gguf"), "--to", "gguf")
    #expect(run.status == 65 && run.messages.contains(word), "\(run.status) \(run.messages)")
    #expect(try workspace.names() == ["model"])
  }

  /// What codes need, and a group that is not there.
  @Test(arguments: ["qzeros", "scales", "g_idx", "order"])
  func whatIsWrongIsNamed(part: String) throws {
    var form = Form.all[1]
    form.isOrdered = part != "order"
    var (model, expected) = try model(form)
    let module = try #require(expected.keys.min()).dropLast("weight".count)
    let name = "\(module)\(part == "order" ? "g_idx" : part)"
    switch part {
    case "g_idx": model[name].bytes[4] = 200
    // Out of order, though the config says that it is not.
    case "order": model[name].bytes.swapAt(0, 4 * 9)
    default: model.tensors[name] = nil
    }
    let path = try model.write(to: workspace)
    let validation = try FathomProcess("validate", path, "--deep", "--format", "json")
    #expect(validation.status == 1, "\(validation.output)")
    let findings = try JSONDocument(validation.output).list("findings")
      .filter { $0.string("severity") == "error" }
    #expect(findings.count == 1 && findings.first?.string("tensor") == name, "\(findings)")
    let run = try FathomProcess(
      "convert", path, workspace.path("out"), "--to", "hf", "--quant", "bf16")
    #expect(run.status == (part == "order" ? 0 : 65), "\(run.messages)")
    if part != "order" { #expect(run.messages.contains(name), "\(run.messages)") }
  }
}
