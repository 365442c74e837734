import Reports
import Testing
import Verification

@Suite struct TextTests {
  @Test func quantitiesReadWell() {
    #expect(Quantity.count(684_531_386_000) == "684,531,386,000")
    #expect(Quantity.count(-1_000) == "-1,000")
    #expect(Quantity.count(0) == "0")
    #expect(Quantity.bytes(1023) == "1023 B")
    #expect(Quantity.bytes(688_574_839_360) == "641.29 GiB")
    #expect(Quantity.short(671_026_419_200) == "671.03 B")
    #expect(Quantity.fixed(-0.004, digits: 2) == "0.00")
    #expect(Quantity.fixed(2.999, digits: 2) == "3.00")
    #expect(Quantity.plural(1, "error") == "1 error")
    #expect(Quantity.plural(2, "error") == "2 errors")
  }
}
