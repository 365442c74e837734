import Foundation
import Platform
import Support
import Testing

/// Servers that fail, and such that change what they serve.
@Suite struct RemoteFaultTests {
  private static let sample = Repository.samples + "/tiny-fp8"
  private static let name = "hf://test/tiny-fp8"

  private func hash(_ change: @escaping HubDouble.Change) throws -> FathomProcess {
    try HubDouble(RemoteFaultTests.sample, change: change).fathom(["hash", RemoteFaultTests.name])
  }

  private static func expected() throws -> String { try FathomProcess("hash", sample).output }

  /// Faults that pass: the result is the same.
  @Test(arguments: ["busy", "broken", "cut", "expired", "empty"])
  func faultsThatPassChangeNothing(fault: String) throws {
    let run = try hash { request, answer, count in
      var answer = answer
      switch fault {
      case "busy" where count % 3 == 1:
        return HubAnswer(status: 429, fields: ["Retry-After": "0"])
      case "broken" where count % 3 == 1: return HubAnswer(status: 500)
      case "cut" where answer.body.count > 100 && count % 3 == 0:
        answer.cut = answer.body.count / 2
      case "expired" where request.origin == .cdn && count % 4 == 0: return HubAnswer(status: 403)
      case "empty" where count % 3 == 0: answer.cut = 0
      default: break
      }
      return answer
    }
    #expect(run.status == 0, "\(run.messages)")
    #expect(try run.output == RemoteFaultTests.expected())
  }

  /// Contents that are others by now, and answers that are none: never a result.
  @Test(arguments: [
    ("commit", 65, "changed while it was read"), ("hash", 65, "changed while it was read"),
    ("tag", 65, "changed while it was read"), ("size", 65, "changed while it was read"),
    ("range", 74, "answered wrongly"), ("whole", 74, "does not answer requests for ranges"),
    ("encoded", 74, "answered wrongly"), ("silent", 74, "answered wrongly"),
    ("place", 74, "answered wrongly"),
    ("loop", 74, "from place to place"), ("page", 65, "sha"), ("gone", 66, "is not there"),
  ])
  func faultsThatStayAreFaults(fault: String, status: Int, message: String) throws {
    let run = try hash { request, answer, count in
      var answer = answer
      switch fault {
      case "commit" where answer.fields["X-Repo-Commit"] != nil && count > 4:
        answer.fields["X-Repo-Commit"] = String(repeating: "0", count: 40)
      case "hash" where answer.status == 302:
        answer.fields["X-Linked-ETag"] = "\"other\""
      case "tag" where request.origin == .cdn: answer.fields["ETag"] = "\"\(count)\""
      case "size" where request.origin == .cdn:
        answer.fields["Content-Range"] = answer.fields["Content-Range"]! + "0"
      case "range" where request.origin == .cdn && answer.body.count > 1:
        answer.body.removeLast()
        let last = request.range!.lowerBound + answer.body.count - 1
        answer.fields["Content-Range"] = "bytes \(request.range!.lowerBound)-\(last)/99999999"
      case "place" where request.origin == .cdn && answer.body.count > 1:
        let range = request.range!
        let end = range.lowerBound + answer.body.count
        let total = answer.fields["Content-Range"]!.split(separator: "/")[1]
        answer.fields["Content-Range"] = "bytes \(range.lowerBound + 1)-\(end - 1)/\(total)"
      case "whole" where request.origin == .cdn && request.range!.lowerBound > 0:
        return HubAnswer(status: 200, body: [UInt8](repeating: 0, count: 100))
      case "encoded" where request.origin == .cdn: answer.fields["Content-Encoding"] = "gzip"
      case "silent" where request.origin == .cdn: answer.fields["Content-Range"] = nil
      case "loop" where answer.status == 302: answer.fields["Location"] = request.path
      case "page" where request.path.hasPrefix("/api"): answer.body = Array("{}".utf8)
      case "gone" where request.origin == .cdn: return HubAnswer(status: 404)
      default: break
      }
      return answer
    }
    #expect(run.status == Int32(status), "\(run.messages)")
    #expect(run.output == "")
    #expect(run.messages.contains(message), "\(run.messages)")
  }

  @Test func anAddressOfAnotherSchemeIsNotFollowed() throws {
    let run = try hash { _, answer, _ in
      var answer = answer
      if answer.status == 302 { answer.fields["Location"] = "file:///etc/passwd" }
      return answer
    }
    #expect(run.status == 65, "\(run.messages)")
  }

  @Test func aServerThatAsksToWaitForHoursIsNotWaitedFor() throws {
    let run = try hash { _, _, _ in HubAnswer(status: 429, fields: ["Retry-After": "7200"]) }
    #expect(run.status == 74, "\(run.messages)")
    #expect(run.messages.contains("asks to wait: 7200"))
  }

  @Test func nobodyThereIsSaid() throws {
    let run = try FathomProcess(
      ["inspect", RemoteFaultTests.name],
      environment: ["HF_ENDPOINT": "http://127.0.0.1:1", "no_proxy": "*", "HF_HUB_OFFLINE": ""])
    #expect(run.status == 74, "\(run.messages)")
  }
}
