import Platform
import Testing

@Suite struct ByteSizeTests {
  @Test(
    arguments: [
      ("5GB", 5_000_000_000), ("5gb", 5_000_000_000), ("512MiB", 512 << 20), ("1.5KB", 1500),
      ("100", 100), ("1B", 1), ("2TiB", 2 << 40), ("0", nil), ("-1GB", nil), ("GB", nil), ("", nil),
      ("1e3", nil), ("nan", nil), ("0x10", nil), ("9999999999TB", nil), ("5 GB", nil),
      ("0.1B", nil),
    ] as [(String, Int?)])
  func sizesAreRead(text: String, bytes: Int?) {
    #expect(ByteSize(text)?.bytes == bytes)
  }

  @Test(arguments: ["5GB", "512MiB", "100B", "256MB", "3TiB", "1KB", "1025B"])
  func sizesAreWrittenAsTheyAreRead(text: String) {
    #expect(ByteSize(text)?.description == text)
  }
}
