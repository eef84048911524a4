//! TCP pings.

use super::Teller;

/// Ten pings are dialed at a time; the eleventh takes the first place that is free, and the
/// twelfth is turned down after 1 s (Contract §9).
#[test]
fn twelve_pings() {
    let mut t = Teller::new().untold();
    for _ in 0..12 {
        t.ping("h:80");
    }
    t.advance(500).dialled(3, 38).next_timer().dialled(11, 7);
    insta::assert_snapshot!(t, @r"
    0.000    > request 1: ping h:80
               dial h:80 for 1
             > request 2: ping h:80
               dial h:80 for 2
             > request 3: ping h:80
               dial h:80 for 3
             > request 4: ping h:80
               dial h:80 for 4
             > request 5: ping h:80
               dial h:80 for 5
             > request 6: ping h:80
               dial h:80 for 6
             > request 7: ping h:80
               dial h:80 for 7
             > request 8: ping h:80
               dial h:80 for 8
             > request 9: ping h:80
               dial h:80 for 9
             > request 10: ping h:80
               dial h:80 for 10
             > request 11: ping h:80
             > request 12: ping h:80
    0.500    > dial for 3 connects
               answer 3: 200 connected, 38 ms
               dial h:80 for 11
    1.000    > due: DialWait of 12
               answer 12: 200 not connected, too many requests
             > dial for 11 connects
               answer 11: 200 connected, 7 ms
    ");
}
