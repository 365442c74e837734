import Conversion
import Dialects
import Formats
import Foundation
import Models
import Support
import Testing
import Weights

/// Bytes against torch's. Origin: `scripts/make conversion-fixtures` with the versions in
/// `scripts/peers/requirements.txt`; no tolerance, the bytes are equal.
@Suite struct TorchTests {
  static let cases: [(sample: String, quant: String)] = Repository.deepSeekV3Samples.flatMap {
    sample in
    ["bf16", "f16", "f32", "fp8-f32", "fp8-ue8m0"].map { (sample, $0) }
  }

  @Test(arguments: cases)
  func everyTensorHasTorchsBytes(sample name: String, quant: String) throws {
    let parts = quant.split(separator: "-").map(String.init)
    let recipe = Recipe(
      weights: WeightStorage.named(parts[0]),
      scaleFormat: parts.count > 1 ? Recipe.ScaleFormat(rawValue: parts[1]) : nil)
    let path = "\(Repository.root)/Tests/ConversionTests/Fixtures/\(name).json"
    let fixture = try JSONDocument(String(decoding: try contents(path), as: UTF8.self))
    let all = try #require(fixture.root as? [String: [String: String]])
    let expected = all.compactMapValues { $0[quant] }
    // FP8 samples have no answers for fp8: they are copied.
    guard !expected.isEmpty else { return }
    let conversion = try Conversions(sample(name), recipe)
    let found = try tensors(of: conversion.output)
    #expect(Set(found.keys) == Set(expected.keys))
    for (tensor, hash) in expected {
      let bytes = try #require(found[tensor]?.bytes)
      #expect(SHA256.digits(bytes) == hash, "\(tensor) in \(name) as \(quant)")
    }
  }

  @Test func theHashIsSHA256() {
    #expect(SHA256.digits("abc".utf8) == "ba7816bf8f01cfea")
    #expect(SHA256.digits(Array(repeating: UInt8(ascii: "a"), count: 1000)) == "41edece42d63e8d9")
  }
}
