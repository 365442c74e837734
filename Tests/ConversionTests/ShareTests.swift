import Conversion
import Dialects
import Formats
import Pages
import Platform
import Support
import Testing

/// How a plan's work divides among runs that know nothing of each other.
@Suite struct ShareTests {
  private static func plan(
    _ recipe: Recipe, sample: String = "tiny-fp8", resources: Resources = Resources(threads: 1)
  ) throws -> Plan {
    try Plan(
      SourceModel(path: Repository.samples + "/" + sample, threads: 1), recipe: recipe,
      resources: resources)
  }

  static let recipes = [
    Recipe(weights: .bf16), Recipe(weights: .bf16, shardLimit: 500_000),
    Recipe(target: .deepSeek(shards: 1), outputName: "out"),
  ]

  private static let counts = [1, 2, 3, 4, 7, 16, 100]

  /// Every byte of every file belongs to one share, and a share is one stretch of the output.
  @Test(arguments: recipes, counts)
  func sharesAreDisjointAndComplete(recipe: Recipe, count: Int) throws {
    let plan = try Self.plan(recipe)
    let sizes = plan.layout.files.map(\.byteCount)
    var ends = [Int](repeating: 0, count: sizes.count)
    for number in 1...count {
      let share = Share(number, of: count, plan)
      for (file, range) in share.bytes.enumerated() where !range.isEmpty {
        #expect(range.lowerBound == ends[file], "share \(number) of \(count), file \(file)")
        // No two runs write to one page.
        #expect(range.lowerBound % 65536 == 0)
        ends[file] = range.upperBound
      }
    }
    #expect(ends == sizes)
  }

  /// They follow from the plan alone: machines with more memory or processors agree with others.
  @Test(arguments: recipes)
  func sharesDoNotDependOnTheMachine(recipe: Recipe) throws {
    let small = try Self.plan(recipe, resources: Resources(threads: 1, memory: 8 << 20))
    let large = try Self.plan(recipe, resources: Resources(threads: 7, memory: 1 << 30))
    for number in 1...5 {
      #expect(Share(number, of: 5, small) == Share(number, of: 5, large))
    }
  }

  /// Of shares that are not tiny none takes much longer than an even one.
  @Test(arguments: 2...4)
  func sharesAreEven(count: Int) throws {
    let plan = try Self.plan(Recipe(weights: .bf16))
    let costs = (1...count).map { number in
      ShareReport(Share(number, of: count, plan), of: plan, origin: nil).json
    }
    func seconds(_ json: JSONValue, _ key: String) throws -> Double {
      guard case .number(let value, _)? = json[key] else {
        throw Fault(.malformed, "no number \(key)")
      }
      return value
    }
    let all = try seconds(costs[0], "coreSecondsOfAll")
    var sum = 0.0
    for cost in costs {
      let own = try seconds(cost, "coreSeconds")
      sum += own
      // Two cuts, each up to 64 KiB from where it should be.
      #expect(abs(own - all / Double(count)) < all * 0.08, "\(own) of \(all) in \(count)")
    }
    #expect(abs(sum - all) < all * 1e-9)
  }

  /// Whole files where there are many of about one size.
  @Test func filesStayWholeWhereThatIsEven() throws {
    let plan = try Self.plan(Recipe(weights: .bf16, shardLimit: 100_000))
    #expect(plan.layout.files.count > 12)
    for number in 1...2 {
      let share = Share(number, of: 2, plan)
      for file in share.files {
        #expect(share.bytes[file] == 0..<plan.layout.files[file].byteCount)
      }
    }
  }
}

/// `--part` as users and engines say it.
@Suite struct PartChoiceTests {
  private func choice(_ text: String, _ variables: [String: String] = [:]) throws -> PartChoice {
    try PartChoice(text) { variables[$0] }
  }

  @Test(arguments: ["1/1", "3/16", "16/16", "100000/100000"])
  func numbersAreTaken(text: String) throws {
    let choice = try choice(text)
    #expect(choice.text == text)
    #expect(choice.origin == nil)
  }

  @Test(arguments: [
    "", "3", "3/", "/3", "0/3", "4/3", "-1/3", "+1/3", "1/0", "1/2/3", "a/3", "auto/0", "auto/x",
    "auto/3/3", "1/100001", "\u{FF11}/3", " 1/3", "1/99999999999999999999",
  ])
  func nonsenseIsRefused(text: String) throws {
    let fault = try #require(throws: Fault.self) {
      try choice(text, ["SLURM_ARRAY_TASK_ID": "1"])
    }
    #expect(fault.kind == .usage)
  }

  private func array(_ id: Int, _ min: Int, _ max: Int, _ count: Int, step: Int? = nil)
    -> [String: String]
  {
    var variables = [
      "SLURM_ARRAY_TASK_ID": "\(id)", "SLURM_ARRAY_TASK_MIN": "\(min)",
      "SLURM_ARRAY_TASK_MAX": "\(max)", "SLURM_ARRAY_TASK_COUNT": "\(count)",
    ]
    if let step { variables["SLURM_ARRAY_TASK_STEP"] = "\(step)" }
    return variables
  }

  @Test func aSlurmArrayIsCountedFromItsFirstTask() throws {
    #expect(try choice("auto", array(1, 1, 16, 16)).text == "1/16")
    #expect(try choice("auto", array(16, 1, 16, 16, step: 1)).text == "16/16")
    #expect(try choice("auto", array(0, 0, 15, 16)).text == "1/16")
    #expect(try choice("auto", array(12, 0, 30, 16, step: 2)).text == "7/16")
    #expect(try choice("auto", array(1, 1, 16, 16)).origin == "SLURM_ARRAY_TASK_ID")
  }

  @Test func anArrayWithHolesIsRefused() throws {
    for variables in [
      array(3, 1, 16, 5), array(4, 0, 30, 16, step: 4), array(17, 1, 16, 16),
      ["SLURM_ARRAY_TASK_ID": "3"], ["SLURM_ARRAY_TASK_ID": "x"], [:],
    ] {
      let fault = try #require(throws: Fault.self) { try choice("auto", variables) }
      #expect(fault.kind == .usage)
    }
  }

  /// A task that is submitted again alone is an array of one.
  @Test func withANumberOfPartsTheTasksNumberIsThePart() throws {
    #expect(try choice("auto/16", array(3, 3, 3, 1)).text == "3/16")
    var variables = array(3, 3, 3, 1)
    variables["FATHOM_PARTS"] = "16"
    #expect(try choice("auto", variables).text == "3/16")
    #expect(throws: Fault.self) { try choice("auto/16", array(0, 0, 15, 16)) }
    variables["FATHOM_PARTS"] = "many"
    #expect(throws: Fault.self) { try choice("auto", variables) }
  }

  @Test func aKubernetesIndexIsOneLess() throws {
    let variables = ["JOB_COMPLETION_INDEX": "0"]
    #expect(try choice("auto/4", variables).text == "1/4")
    #expect(try choice("auto/4", ["JOB_COMPLETION_INDEX": "3"]).text == "4/4")
    #expect(try choice("auto/4", variables).origin == "JOB_COMPLETION_INDEX")
    #expect(throws: Fault.self) { try choice("auto", variables) }
    #expect(throws: Fault.self) { try choice("auto/4", ["JOB_COMPLETION_INDEX": "4"]) }
  }
}
