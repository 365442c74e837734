import Formats
import Platform
import Testing

/// What several share is not more than there is.
@Suite struct BudgetTests {
  @Test func partsOfABudgetAddUp() throws {
    let budget = Budget("tensors", limit: 10)
    try budget.take(4, for: "one")
    try budget.take(6, for: "two")
    try budget.take(0, for: "three")
    let fault = #expect(throws: Fault.self) { try budget.take(1, for: "four") }
    #expect(fault?.kind == .malformed && fault?.file == "four")
    #expect(
      fault?.description
        == "four: has too many tensors, counted with those of the model's other files: expected at most 10 in all"
    )
  }

  @Test func noSingleRequestOverflows() {
    let budget = Budget("bytes", limit: 10)
    for _ in 0..<3 {
      #expect(throws: Fault.self) { try budget.take(.max, for: "one") }
    }
    #expect(throws: Never.self) { try budget.take(10, for: "two") }
  }
}
