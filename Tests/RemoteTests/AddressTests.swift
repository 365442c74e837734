import Platform
import Remote
import Testing

/// Names of models, addresses, and how requests to S3 are signed.
@Suite struct AddressTests {
  @Test(arguments: [
    ("hf://a/b", "a/b", nil, ""), ("hf://a/b@v1", "a/b", "v1", ""),
    ("hf://a/b@refs/pr/3", "a/b", "refs/pr/3", ""),
    ("hf://a/b@x%2Fy/c/d.gguf", "a/b", "x/y", "c/d.gguf"),
    ("hf://a/b/", "a/b", nil, ""), ("hf://a/b@main/sub", "a/b", "main", "sub"),
  ])
  func namesOfTheHub(text: String, repository: String, revision: String?, place: String) throws {
    let name = try #require(try HubName(text))
    #expect(name.repository.text == repository)
    #expect(name.revision?.text == revision)
    #expect(name.place.text == place)
  }

  @Test(arguments: [
    "a", "a/b/c", "./b", "../b", "a/..", "a/.b", "-a/b", "a/b-", "a/b--c", "a/b c", "a/m.gguf",
    "a/m.safetensors", "/b", "a/",
  ])
  func whatIsNoPlainName(text: String) {
    #expect(HubName(plain: text) == nil)
  }

  @Test func plainNames() {
    #expect(HubName(plain: "deepseek-ai/DeepSeek-V3")?.model == "hf://deepseek-ai/DeepSeek-V3")
    #expect(HubName(plain: "a/b_c.d-1")?.repository.text == "a/b_c.d-1")
  }

  /// The example of Amazon's reference, "Examples: Signature Calculations", GET Bucket.
  @Test func signaturesAreThoseOfTheReference() throws {
    let signature = S3Signature(
      key: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", session: nil,
      region: "us-east-1")
    let address = try Address("https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J")
    // 24 May 2013, 00:00:00.
    let fields = signature.fields(for: address, at: 1_369_353_600)
    #expect(fields.contains("x-amz-date: 20130524T000000Z"))
    #expect(
      fields.last
        == "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
        + "aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature="
        + "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
    #expect(!fields.joined().contains("wJalr"))
  }

  @Test func waitsGrowAndEnd() {
    var plan = RetryPlan()
    var waits: [Double] = []
    while case .again(let wait) = plan.verdict(received: 0, chance: 0.5) { waits.append(wait) }
    #expect(waits == [0.25, 0.5, 1, 2, 4, 8])
    // What brings something is tried for as long as it does.
    plan = RetryPlan()
    for _ in 0..<100 {
      #expect(plan.verdict(received: 1 << 20, chance: 0.5) == .again(after: 0.25))
    }
    #expect(plan.verdict(received: 0, retryAfter: 7) == .again(after: 7))
    #expect(plan.verdict(received: 0, retryAfter: 7200) == .never)
  }

  @Test func waitsThatAreAskedFor() {
    #expect(RetryPlan.seconds("17", now: 0) == 17)
    #expect(RetryPlan.seconds("-1", now: 0) == nil)
    #expect(RetryPlan.seconds("Wed, 21 Oct 2015 07:28:00 GMT", now: 1_445_412_470) == 10)
    #expect(RetryPlan.seconds("Wed, 21 Oct 2015 07:28:00 GMT", now: 1_445_412_490) == 0)
    #expect(RetryPlan.seconds("soon", now: 0) == nil)
  }
}
