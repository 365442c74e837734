import Foundation
import Support
import Testing

/// DeepSeek-V3 itself, as far as headers show it.
///
/// The numbers are those of the published checkpoint: its headers list 91,991 tensors with
/// 684,531,386,000 elements in 688,574,839,360 bytes, of which layer 61 is the MTP layer.
@Suite struct FullSizeTests {
  @Test func isInspectedAndValid() throws {
    let workspace = try Workspace()
    try FullSizeCheckpoint.write(to: workspace)
    let run = try FathomProcess("inspect", workspace.path, "--format", "json")
    #expect(run.status == 0, "\(run.messages)")
    let json = try JSONDocument(run.output)
    #expect(json.integer("totals", "tensors") == 91_991)
    #expect(json.integer("totals", "elements") == 684_531_386_000)
    #expect(json.integer("totals", "bytes") == 688_574_839_360)
    #expect(json.integer("totals", "shards") == 163)
    #expect(json.integer("parameters", "main") == 671_026_419_200)
    #expect(json.integer("parameters", "mtp") == 684_489_845_504 - 671_026_419_200)
    #expect(json.integer("parameters", "scales") == 41_540_496)
    #expect(json.integer("cost", "kvCacheBytesPerToken") == 61 * (512 + 64) * 2)
    let active = try #require(json.integer("parameters", "activePerToken"))
    #expect(abs(active - 36_600_000_000) < 50_000_000)
    let text = try FathomProcess("inspect", workspace.path)
    for part in ["91,991", "684,531,386,000", "671.03 B", "13.46 B", "11.61 B", "36.6"] {
      #expect(text.output.contains(part), "\(part) in \(text.output)")
    }
    let validation = try FathomProcess("validate", workspace.path, "--format", "json")
    #expect(validation.status == 0)
    #expect(try JSONDocument(validation.output).list("findings").isEmpty)
  }
}
