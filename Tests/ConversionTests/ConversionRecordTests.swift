import Conversion
import Platform
import Testing

/// Journals of conversions that are longer than those that tests make.
@Suite struct ConversionRecordTests {
  private static let head = """
    {"journal":2,"version":"0","recipe":{},"source":[],"output":"0","from":"/","to":"/x","in":"/",\
    "command":["fathom"],"files":[{"name":"x","bytes":9000000}]}
    """

  private func records(_ lines: [String]) throws -> ConversionRecords {
    let journal = Array(([Self.head] + lines).flatMap { "\(CRC32C($0).text) \($0)\n".utf8 })
    return try ConversionRecords(journal: journal, copy: journal, file: "journal")
  }

  private func written(_ start: Int, _ count: Int) -> String {
    #"{"written":{"file":0,"from":\#(start),"bytes":\#(count),"crc32c":"00000000"}}"#
  }

  /// Each line adds a segment to those of its file, which are not copied for it.
  @Test func manySegmentsOfOneFile() throws {
    let lines = (0..<150_000).map { written($0 * 60, 60) }
    #expect(try records(lines).byteCount == 9_000_000)
  }

  /// What is written anew takes the place of what was there from its start on, and nothing else.
  @Test func segmentsThatAreWrittenAnew() throws {
    let lines = [written(0, 50), written(50, 50), written(100, 50)]
    #expect(try records(lines + [written(50, 10)]).byteCount == 60)
    #expect(try records(lines + [written(0, 10), written(10, 5)]).byteCount == 15)
    for (start, count) in [(75, 10), (151, 10), (160, 1)] {
      let fault = #expect(throws: Fault.self) { try records(lines + [written(start, count)]) }
      #expect(fault?.kind == .cannotCreate)
    }
  }

  /// A line has no more hashes than a document may have values; none is lost between two lines.
  @Test func manyHashes() throws {
    let hashes = (0..<25_001).map { tensor in
      ContentLedger.Record(
        isSource: tensor % 3 == 0, tensor: tensor,
        hash: BLAKE3Value((0..<32).map { UInt8(truncatingIfNeeded: tensor >> ($0 % 16)) }))
    }
    let lines = ContentLedger.Record.lines(hashes)
    #expect(lines.count == 3)
    #expect(try records(lines).hashes == hashes)
    #expect(ContentLedger.Record.lines([]) == [])
  }
}
