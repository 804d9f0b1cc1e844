//! One thread of the generator: its runtime, its clients, and the stages of a run.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sampan_client::{Client, Endpoint, Start};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::layout::{Member, Share};
use crate::publish::{Source, fast, paced};
use crate::receive::receive;
use crate::requests::{ask, panicked, respond};
use crate::tally::{Meter, bump};
use crate::visitor::Visitor;
use crate::{Access, Error, Plan, Work};

/// Clients of one thread that connect or subscribe at the same time.
const AT_ONCE: usize = 32;
/// Clients that share one UDP socket: a fan-out to all of them fits its receive buffer.
pub(crate) const CLIENTS_PER_SOCKET: usize = 256;
/// How long clients of a broker that lives on may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the threads do at a time; each reports once it is through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Waiting,
    /// Publishers, or responders, connect.
    Sources,
    /// Members connect.
    Connect,
    /// Members subscribe.
    Join,
    /// Messages flow from this moment on.
    Load(Instant),
    /// Everybody leaves.
    Close,
}

/// What a thread is given.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) plan: Plan,
    pub(crate) access: Access,
    pub(crate) share: Share,
    pub(crate) meter: Arc<Meter>,
    pub(crate) stage: watch::Receiver<Stage>,
    pub(crate) done: mpsc::UnboundedSender<Result<(), Error>>,
}

/// Starts a thread that goes through the stages as they are announced.
pub(crate) fn start(job: Job) -> Result<JoinHandle<()>, Error> {
    let system = |error: std::io::Error| Error::System(format!("cannot start a thread: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(system)?;
    let thread = std::thread::Builder::new().name("load".to_owned());
    thread.spawn(move || runtime.block_on(work(job))).map_err(system)
}

async fn work(mut job: Job) {
    let mut crew = Crew::default();
    while job.stage.changed().await.is_ok() {
        let stage = *job.stage.borrow_and_update();
        let done = crew.stage(&job, stage).await;
        if job.done.send(done).is_err() {
            return;
        }
    }
}

/// The clients of one thread.
#[derive(Default)]
struct Crew {
    endpoints: Vec<Endpoint>,
    sources: Vec<Source>,
    members: Vec<(Client, Member)>,
    /// Members that come through the bridge, until they have joined.
    visitors: Vec<(Visitor, Member)>,
    /// Handles that keep the sessions of publishers and responders alive.
    clients: Vec<Client>,
}

impl Crew {
    async fn stage(&mut self, job: &Job, stage: Stage) -> Result<(), Error> {
        match stage {
            Stage::Waiting => Ok(()),
            Stage::Sources => self.sources(job).await,
            Stage::Connect if job.plan.transport.is_bridge() => self.visit(job).await,
            Stage::Connect => self.connect(job).await,
            Stage::Join if job.plan.work == Work::Requests => Ok(()),
            Stage::Join if job.plan.transport.is_bridge() => self.settle(job).await,
            Stage::Join => self.join(job).await,
            Stage::Load(start) => self.load(job, start).await,
            Stage::Close => {
                self.close().await;
                Ok(())
            }
        }
    }

    async fn sources(&mut self, job: &Job) -> Result<(), Error> {
        if job.access.is_peer() {
            return self.peer_sources(job).await;
        }
        let is_bridge = job.plan.transport.is_bridge();
        let clients = if is_bridge { 0 } else { job.share.members.len() };
        let sockets = clients.div_ceil(CLIENTS_PER_SOCKET);
        for _ in 0..=sockets {
            self.endpoints.push(Endpoint::bind(job.access.local(), &job.access.trust)?);
        }
        if job.share.sources.is_empty() {
            return Ok(());
        }
        let client = Client::connect(job.access.options(&self.endpoints[sockets])).await?;
        for room in &job.share.sources {
            if job.plan.work == Work::Requests {
                tokio::spawn(respond(client.serve(&room.topic).await?));
            } else {
                self.sources.push(Source::open(&client, room.clone(), &job.plan).await?);
            }
        }
        self.clients.push(client);
        Ok(())
    }

    async fn peer_sources(&mut self, job: &Job) -> Result<(), Error> {
        let (plan, http) = (&job.plan, &job.access.http);
        for room in &job.share.sources {
            let visitor = Visitor::connect(plan.transport, http, "", room).await?;
            self.sources.push(Source::to_peer(visitor, room.clone(), plan));
        }
        Ok(())
    }

    /// Connects the members that come through the bridge.
    async fn visit(&mut self, job: &Job) -> Result<(), Error> {
        let token: Arc<str> = job.access.bearer().await?.into();
        self.visitors = striped(job.share.members.clone(), |member| {
            let (http, token, meter) = (job.access.http.clone(), token.clone(), job.meter.clone());
            let transport = job.plan.transport;
            async move {
                let visitor = Visitor::connect(transport, &http, &token, &member.room).await?;
                bump(&meter.connected);
                Ok((visitor, member))
            }
        })
        .await?;
        Ok(())
    }

    /// Lets them join their rooms, and count from then on.
    async fn settle(&mut self, job: &Job) -> Result<(), Error> {
        striped(std::mem::take(&mut self.visitors), |(mut visitor, member)| {
            let meter = job.meter.clone();
            async move {
                visitor.join(&member.room).await?;
                bump(&meter.ready);
                tokio::spawn(visitor.receive(member.room, meter));
                Ok(())
            }
        })
        .await?;
        Ok(())
    }

    async fn connect(&mut self, job: &Job) -> Result<(), Error> {
        let sockets = (self.endpoints.len() - 1).max(1);
        let members = job.share.members.iter().cloned().enumerate();
        let wanted = members.map(|(number, member)| (number % sockets, member));
        self.members = striped(wanted.collect(), |(socket, member)| {
            let (options, meter) = (job.access.options(&self.endpoints[socket]), job.meter.clone());
            async move {
                let client = Client::connect(options).await?;
                bump(&meter.connected);
                Ok((client, member))
            }
        })
        .await?;
        Ok(())
    }

    async fn join(&mut self, job: &Job) -> Result<(), Error> {
        striped(self.members.clone(), |(client, member)| {
            let meter = job.meter.clone();
            async move {
                let subscription = client.subscribe(&member.room.topic, Start::Now).await?;
                bump(&meter.ready);
                tokio::spawn(receive(subscription, member.room, meter));
                Ok(())
            }
        })
        .await?;
        Ok(())
    }

    async fn load(&mut self, job: &Job, start: Instant) -> Result<(), Error> {
        let (plan, until) = (&job.plan, start + Duration::from_secs(job.plan.seconds));
        let sources = std::mem::take(&mut self.sources);
        let mut tasks = JoinSet::new();
        if plan.work == Work::Requests {
            for (client, member) in self.members.clone() {
                tasks.spawn(ask(client, member, plan.clone(), start, job.meter.clone()));
            }
        } else if plan.is_fast() {
            for source in sources {
                tasks.spawn(fast(source, until, job.meter.clone()));
            }
        } else {
            tasks.spawn(paced(sources, plan.clone(), start, job.meter.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(panicked)??;
        }
        Ok(())
    }

    async fn close(&mut self) {
        let members = self.members.drain(..).map(|(client, _)| client);
        let clients: Vec<Client> = members.chain(self.clients.drain(..)).collect();
        let closing = striped(clients, |client| async move {
            // The run is over; what this client did not finish no longer matters.
            let _ = client.close().await;
            Ok(())
        });
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
    }
}

/// Does `each` for all items, a bounded number at a time; the results are in no fixed order.
async fn striped<I, T, F>(items: Vec<I>, each: impl Fn(I) -> F) -> Result<Vec<T>, Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let mut results = Vec::with_capacity(items.len());
    let mut open = JoinSet::new();
    for item in items {
        if open.len() == AT_ONCE
            && let Some(ended) = open.join_next().await
        {
            results.push(ended.map_err(panicked)??);
        }
        open.spawn(each(item));
    }
    while let Some(ended) = open.join_next().await {
        results.push(ended.map_err(panicked)??);
    }
    Ok(results)
}
