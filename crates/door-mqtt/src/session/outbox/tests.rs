use causeway_wire::mqtt::Properties;
use proptest::prelude::*;

use super::super::letter::Budget;
use super::*;

const NOW: Timestamp = Timestamp(1000);

fn outgoing(text: &str, qos: QoS, origin: Origin) -> Outgoing {
    let letter = Letter::new("t", text.as_bytes(), &Properties::default(), &Budget::new(1 << 20, 1 << 20), None);
    Outgoing { letter, qos, retain: false, identifiers: Identifiers::new(), expires_at: None, origin }
}

fn own(text: &str, qos: QoS) -> Outgoing {
    outgoing(text, qos, Origin::Own)
}

/// What went out, as `id text`, with `!` for DUP and `R` for PUBREL.
fn pump(outbox: &mut Outbox, quota: u16) -> Vec<String> {
    let mut seen = Vec::new();
    let back = outbox.pump(quota, NOW, |emit| {
        seen.push(match emit {
            Emit::Publish { id, dup, outgoing } => {
                let letter = outgoing.letter.as_ref().expect("not released");
                let text = String::from_utf8_lossy(letter.read().payload).into_owned();
                format!("{id}{}{text}", if dup { "!" } else { " " })
            }
            Emit::Release(id) => format!("{id}R"),
        });
        true
    });
    assert!(back.is_empty());
    seen
}

fn id(n: u16) -> PacketId {
    PacketId::new(n).expect("not 0")
}

#[test]
fn quota_order_and_reuse_of_identifiers() {
    let mut outbox = Outbox::default();
    for text in ["a", "b", "c"] {
        outbox.push(own(text, QoS::AtLeastOnce));
    }
    assert_eq!(pump(&mut outbox, 2), ["1 a", "2 b"]);
    assert_eq!((outbox.queued.len(), outbox.waiting_mail()), (1, 0));
    assert!(matches!(outbox.puback(id(3)), Acked::Unknown));
    assert!(matches!(outbox.pubrec(id(2), false), Acked::Unknown));
    assert!(matches!(outbox.puback(id(1)), Acked::Over(_)));
    assert_eq!(pump(&mut outbox, 2), ["3 c"]);
    outbox.last_id = u16::MAX;
    assert!(matches!(outbox.puback(id(3)), Acked::Over(_)));
    outbox.push(own("d", QoS::AtLeastOnce));
    outbox.push(own("e", QoS::AtLeastOnce));
    assert_eq!(pump(&mut outbox, 9), ["1 d", "3 e"], "2 is still in flight");
}

#[test]
fn exactly_once_has_two_steps() {
    let mut outbox = Outbox::default();
    outbox.push(own("a", QoS::ExactlyOnce));
    assert_eq!(pump(&mut outbox, 1), ["1 a"]);
    assert!(matches!(outbox.pubcomp(id(1)), Acked::Unknown), "PUBREC comes first");
    assert!(matches!(outbox.puback(id(1)), Acked::Unknown));
    assert!(matches!(outbox.pubrec(id(1), false), Acked::Release));
    assert!(matches!(outbox.pubrec(id(1), false), Acked::Release), "a repeated PUBREC");
    assert!(matches!(outbox.pubcomp(id(1)), Acked::Over(_)));
    outbox.push(own("b", QoS::ExactlyOnce));
    pump(&mut outbox, 1);
    assert!(matches!(outbox.pubrec(id(2), true), Acked::Over(_)));
    assert_eq!(outbox.len(), 0);
}

#[test]
fn the_next_connection_gets_everything_again_in_order() {
    let mut outbox = Outbox::default();
    outbox.push(own("a", QoS::ExactlyOnce));
    outbox.push(own("b", QoS::AtLeastOnce));
    outbox.push(outgoing("c", QoS::AtLeastOnce, Origin::Request { until: NOW }));
    outbox.push(outgoing("d", QoS::AtLeastOnce, Origin::Message { no: 4, done: None }));
    outbox.push(outgoing("e", QoS::AtLeastOnce, Origin::Message { no: 5, done: None }));
    outbox.push(own("f", QoS::AtLeastOnce));
    assert_eq!(pump(&mut outbox, 4), ["1 a", "2 b", "3 c", "4 d"]);
    assert_eq!(outbox.waiting_mail(), 1);
    outbox.pubrec(id(1), false);
    outbox.park(Timestamp(0));
    assert_eq!(outbox.waiting_mail(), 0);
    assert!(matches!(outbox.puback(id(2)), Acked::Unknown), "nothing is out while the device is away");
    outbox.resume(NOW);
    assert_eq!(
        pump(&mut outbox, 2),
        ["1R", "2!b"],
        "the command is not repeated, nor is the message that was not begun"
    );
    assert!(matches!(outbox.puback(id(2)), Acked::Over(_)));
    assert_eq!(pump(&mut outbox, 9), ["4!d", "5 f"]);
    assert_eq!(outbox.adopt(4, &mut None), Adopted::InFlight);
    outbox.puback(id(4));
    assert_eq!(outbox.adopt(4, &mut None), Adopted::Settled);
    assert_eq!(outbox.adopt(5, &mut None), Adopted::No);
}

#[test]
fn expired_and_refused_messages_are_given_back() {
    let mut outbox = Outbox::default();
    outbox.push(Outgoing { expires_at: Some(NOW), ..own("old", QoS::AtLeastOnce) });
    outbox.push(own("large", QoS::AtLeastOnce));
    outbox.push(own("c", QoS::AtLeastOnce));
    let mut n = 0;
    let back = outbox.pump(5, NOW, |_| {
        n += 1;
        n > 1
    });
    assert_eq!((back.len(), outbox.len()), (2, 1));
}

#[test]
fn an_answer_that_nobody_waits_for_is_not_kept_for_a_device_that_is_away() {
    let mut outbox = Outbox::default();
    outbox.push(outgoing("a", QoS::AtLeastOnce, Origin::Request { until: NOW }));
    outbox.push(own("b", QoS::AtLeastOnce));
    pump(&mut outbox, 2);
    outbox.park(NOW);
    assert_eq!(outbox.len(), 1);
    assert_eq!(pump(&mut outbox, 2), ["2!b"]);
}

proptest! {
    /// Whatever happens, the quota holds, no identifier is in use twice, and every message ends once.
    #[test]
    fn bookkeeping_holds(steps in prop::collection::vec((0..6_u8, 1..12_u16), 0..120), quota in 1..6_u16) {
        let mut outbox = Outbox::default();
        let (mut pushed, mut over) = (0_usize, 0_usize);
        for (step, n) in steps {
            let qos = if n % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
            match step {
                0 | 1 => {
                    outbox.push(own("x", qos));
                    pushed += 1;
                }
                2 => over += usize::from(matches!(outbox.puback(id(n)), Acked::Over(_))),
                3 => over += usize::from(matches!(outbox.pubrec(id(n), n % 5 == 0), Acked::Over(_))),
                4 => over += usize::from(matches!(outbox.pubcomp(id(n)), Acked::Over(_))),
                _ => {
                    outbox.park(NOW);
                    outbox.resume(NOW);
                }
            }
            let back = outbox.pump(quota, NOW, |_| true);
            prop_assert!(back.is_empty());
            prop_assert!(outbox.out <= quota);
            prop_assert_eq!(usize::from(outbox.out), outbox.inflight.iter().filter(|e| e.is_out).count());
            let mut ids: Vec<_> = outbox.inflight.iter().map(|e| e.id).collect();
            ids.sort();
            ids.dedup();
            prop_assert_eq!(ids.len(), outbox.inflight.len());
            prop_assert_eq!(pushed, over + outbox.len());
            prop_assert!(outbox.queued.is_empty() || outbox.out == quota, "nothing waits while there is room");
        }
    }
}
