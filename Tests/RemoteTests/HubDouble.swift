import Foundation
import Glibc
import Locks
import Platform
import Support

/// A request as the double has read it.
struct HubRequest: Sendable {
  let origin: HubDouble.Origin
  let path: String
  let fields: [String: String]

  /// The range that is asked for.
  var range: Range<Int>? {
    guard let words = fields["range"]?.dropFirst("bytes=".count).split(separator: "-"),
      words.count == 2, let first = Int(words[0]), let last = Int(words[1])
    else { return nil }
    return first..<last + 1
  }
}

/// An answer, and what becomes of it on its way.
struct HubAnswer: Sendable {
  var status = 200
  var fields: [String: String] = [:]
  var body: [UInt8] = []
  /// Bytes of the body after which the connection breaks; nil for none.
  var cut: Int?
}

/// A server that speaks as much of the hub's protocol as a folder takes, on two ports, of which the
/// second stands for another host that large files come from.
///
/// `scripts/peers/hub_server.py` is the same for the peers' own client, which holds both to what it
/// accepts.
final class HubDouble: Sendable {
  enum Origin: Sendable { case hub, cdn }

  /// What a test changes of an answer; nil for the answer as it is.
  typealias Change = @Sendable (HubRequest, HubAnswer, _ count: Int) -> HubAnswer

  static let commit = String(repeating: "c0ffee42", count: 5)

  let folder: String
  private let change: Change
  private let sockets: [Int32]
  private let ports: [Int]
  private let log = Guarded<[HubRequest]>([])

  /// The server's address.
  var endpoint: String { "http://127.0.0.1:\(ports[0])" }
  /// The other host's, by another name of this machine.
  var elsewhere: String { "http://localhost:\(ports[1])" }
  /// All requests so far.
  var requests: [HubRequest] { log.withLock { $0 } }

  init(_ folder: String, change: @escaping Change = { _, answer, _ in answer }) throws {
    self.folder = folder
    self.change = change
    var (sockets, ports): ([Int32], [Int]) = ([], [])
    for _ in 0..<2 {
      let descriptor = socket(
        AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let bound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, length) == 0 && listen(descriptor, 64) == 0
            && getsockname(descriptor, $0, &length) == 0
        }
      }
      guard bound else { throw Fault(.inputOutput, "the double cannot listen") }
      sockets.append(descriptor)
      ports.append(Int(UInt16(bigEndian: address.sin_port)))
    }
    (self.sockets, self.ports) = (sockets, ports)
    for (index, descriptor) in sockets.enumerated() {
      let origin: Origin = index == 0 ? .hub : .cdn
      Thread.detachNewThread { [weak self] in
        while true {
          let connection = accept(descriptor, nil, nil)
          guard connection >= 0 else { return }
          guard let self else {
            close(connection)
            return
          }
          Thread.detachNewThread { self.serve(connection, origin) }
        }
      }
    }
  }

  deinit {
    for descriptor in sockets {
      shutdown(descriptor, Int32(SHUT_RDWR))
      close(descriptor)
    }
  }

  private func serve(_ connection: Int32, _ origin: Origin) {
    defer { close(connection) }
    var pending: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 14)
    let end = Array("\r\n\r\n".utf8)
    while true {
      while let place = pending.firstRange(of: end) {
        let lines = String(decoding: pending[..<place.lowerBound], as: UTF8.self)
          .components(separatedBy: "\r\n")
        pending.removeFirst(place.upperBound)
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
          let parts = line.split(separator: ":", maxSplits: 1)
          fields[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
        }
        let words = lines[0].split(separator: " ")
        let request = HubRequest(origin: origin, path: String(words[1]), fields: fields)
        let count = log.withLock { log in
          log.append(request)
          return log.count
        }
        guard send(change(request, answer(request), count), to: connection) else { return }
      }
      let count = read(connection, &buffer, buffer.count)
      guard count > 0 else { return }
      pending += buffer[..<count]
    }
  }

  /// Sends an answer; returns whether the connection stays open.
  private func send(_ answer: HubAnswer, to connection: Int32) -> Bool {
    var fields = answer.fields
    if fields["Content-Length"] == nil { fields["Content-Length"] = "\(answer.body.count)" }
    var text = "HTTP/1.1 \(answer.status) X\r\n"
    for (name, value) in fields.sorted(by: { $0.key < $1.key }) { text += "\(name): \(value)\r\n" }
    let bytes = Array((text + "\r\n").utf8) + answer.body.prefix(answer.cut ?? answer.body.count)
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes {
        Glibc.send(connection, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      done += count
    }
    return answer.cut == nil
  }

  /// The answer of a server without faults.
  private func answer(_ request: HubRequest) -> HubAnswer {
    let parts = request.path.split(separator: "?")[0].split(separator: "/").map(String.init)
    switch (request.origin, parts.first) {
    case (.hub, "api"): return listing
    case (.hub, "plain") where parts.count == 2: return file(parts[1], request)
    case (.hub, _) where parts.count == 5 && parts[2] == "resolve":
      let name = parts[4]
      guard let bytes = try? contents("\(folder)/\(name)") else { return HubAnswer(status: 404) }
      guard HubDouble.isLarge(name) else {
        var answer = file(name, request)
        answer.fields["X-Repo-Commit"] = HubDouble.commit
        return answer
      }
      return HubAnswer(
        status: 302,
        fields: [
          "Location": "\(elsewhere)/blob/\(name)?signature=s3cret",
          "X-Repo-Commit": HubDouble.commit, "X-Linked-Size": "\(bytes.count)",
          "X-Linked-ETag": "\"\(HubDouble.hash(bytes))\"",
        ])
    case (.cdn, "blob") where parts.count == 2: return file(parts[1], request)
    default: return HubAnswer(status: 404)
    }
  }

  private static func isLarge(_ name: String) -> Bool { name.hasSuffix(".safetensors") }

  static func hash(_ bytes: [UInt8]) -> String { SHA256Digest.text(SHA256Digest.hash(bytes)) }

  private var listing: HubAnswer {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let files = names.sorted().compactMap { name -> String? in
      guard let bytes = try? contents("\(folder)/\(name)") else { return nil }
      let large =
        HubDouble.isLarge(name)
        ? ",\"lfs\":{\"sha256\":\"\(HubDouble.hash(bytes))\",\"size\":\(bytes.count)}" : ""
      return "{\"rfilename\":\"\(name)\",\"size\":\(bytes.count)\(large)}"
    }
    let text = "{\"sha\":\"\(HubDouble.commit)\",\"siblings\":[\(files.joined(separator: ","))]}"
    return HubAnswer(body: Array(text.utf8))
  }

  private func file(_ name: String, _ request: HubRequest) -> HubAnswer {
    guard let bytes = try? contents("\(folder)/\(name)") else { return HubAnswer(status: 404) }
    var answer = HubAnswer(fields: ["ETag": "\"tag-of-\(name)\""], body: bytes)
    guard let range = request.range else { return answer }
    guard range.lowerBound < bytes.count else {
      return HubAnswer(status: 416, fields: ["Content-Range": "bytes */\(bytes.count)"])
    }
    let part = range.clamped(to: 0..<bytes.count)
    answer.status = 206
    answer.body = Array(bytes[part])
    answer.fields["Content-Range"] =
      "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(bytes.count)"
    return answer
  }
}

extension HubDouble {
  /// Runs the command with the double as the hub.
  func fathom(
    _ arguments: [String], token: String? = nil, _ more: [String: String] = [:]
  ) throws -> FathomProcess {
    let home = try Workspace()
    var environment = [
      "HF_ENDPOINT": endpoint, "HF_HOME": home.path("hub"), "HF_TOKEN": token ?? "",
      "no_proxy": "*", "HF_HUB_CACHE": "", "HF_HUB_OFFLINE": "",
    ]
    environment.merge(more) { $1 }
    return try FathomProcess(arguments, environment: environment)
  }
}
