//! The database server is killed and started again: meanwhile every replica says so, and afterwards goes on without a
//! restart.

use std::time::{Duration, Instant};

use serde_json::json;
use tokenry_postgres::Server;
use tokenry_testkit::app::PASSWORD;
use tokio::runtime::Runtime;

use crate::net::{Ask, Checked, Reply, Said};
use crate::world::World;

/// How often it is killed.
const OUTAGES: u32 = 3;
/// How soon after its return every replica must serve again.
const RECOVERY: Duration = Duration::from_secs(30);
/// An outage that outlives every lease on a refresh; in long runs one of them does.
const LONG: Duration = Duration::from_secs(20);

/// Somebody who only looks whether a replica serves.
pub(crate) struct Probe {
    token: String,
}

impl Probe {
    pub(crate) async fn new(world: &World) -> Self {
        let said = async |ask: Ask| loop {
            match world.net.send(0, "10.200.0.1", &ask).await {
                Ok(Reply::Said(said)) if said.status() != 503 => return said,
                Ok(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(wrong) => panic!("{wrong}"),
            }
        };
        let new = json!({"username": "probe", "email": "probe@example.org", "password": PASSWORD});
        said(Ask::post("/api/auth/signup", new)).await;
        let log_in = json!({"username": "probe", "password": PASSWORD});
        let token = said(Ask::post("/api/auth/login", log_in)).await.answer.text("access_token");
        Self { token }
    }

    /// What a replica answers, if it is there.
    async fn look(&self, world: &World, replica: usize) -> Checked<Option<Said>> {
        let ask = Ask::get("/api/auth/user").with(&self.token);
        Ok(match world.net.send(replica, "10.200.0.1", &ask).await? {
            Reply::Said(said) => Some(said),
            Reply::Refused | Reply::Cut => None,
        })
    }
}

/// Whoever kills the database.
pub(crate) struct Outages<'a> {
    pub(crate) world: &'a World,
    pub(crate) server: &'a Server,
    pub(crate) probe: Probe,
}

impl Outages<'_> {
    /// Kills it, spread over the run.
    pub(crate) fn run(&self, runtime: &Runtime, whole: Duration) {
        let began = Instant::now();
        for number in 1..=OUTAGES {
            let at = whole * number / (OUTAGES + 1);
            std::thread::sleep(at.saturating_sub(began.elapsed()));
            if self.world.stopped() {
                return;
            }
            let is_long = number == 1 && whole > LONG * 4;
            let length = if is_long { LONG } else { Duration::from_secs(3) };
            let outcome =
                if number == 2 { self.amid_kills(runtime, length) } else { self.in_peace(runtime, length) };
            if let Err(wrong) = outcome {
                self.world.counts.violation(format!("outage {number}: {wrong}"));
                return;
            }
        }
    }

    /// Replicas die meanwhile, and come back when they can.
    fn amid_kills(&self, runtime: &Runtime, length: Duration) -> Checked {
        self.kill();
        std::thread::sleep(length);
        self.run_again();
        (0..self.world.net.replicas()).try_for_each(|replica| self.await_service(runtime, replica))
    }

    /// No replica is killed: each says that the database is away, and serves again when it is not, being the same process.
    fn in_peace(&self, runtime: &Runtime, length: Duration) -> Checked {
        let _peace = self.world.peace.lock().unwrap();
        let replicas = self.world.net.replicas();
        let pids: Vec<_> = (0..replicas).map(|replica| self.world.replicas.pid(replica)).collect();
        self.kill();
        let began = Instant::now();
        for replica in 0..replicas {
            let said = runtime.block_on(self.probe.look(self.world, replica))?;
            let said = said.ok_or_else(|| format!("replica {replica} is gone"))?;
            if !said.is(503, "database_unavailable") {
                return Err(format!("without a database {}", said.shown()));
            }
            self.world.counts.event("replicas that said 503 during an outage");
        }
        std::thread::sleep(length.saturating_sub(began.elapsed()));
        self.run_again();
        for (replica, pid) in pids.iter().enumerate() {
            self.await_service(runtime, replica)?;
            if self.world.replicas.pid(replica) != *pid {
                return Err(format!("replica {replica} is another process"));
            }
            self.world.counts.event("replicas that recovered without a restart");
        }
        Ok(())
    }

    /// Waits until a replica serves, now that the database is back.
    fn await_service(&self, runtime: &Runtime, replica: usize) -> Checked {
        let back = Instant::now();
        while runtime.block_on(self.probe.look(self.world, replica))?.is_none_or(|said| said.status() != 200)
        {
            if back.elapsed() > RECOVERY {
                return Err(format!(
                    "replica {replica} does not serve {RECOVERY:?} after the database is back"
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn kill(&self) {
        self.server.kill();
        self.world.counts.event("databases killed");
    }

    fn run_again(&self) {
        self.server.run_again();
        self.world.counts.event("databases started again");
    }
}
