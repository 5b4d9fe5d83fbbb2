//! `sluis organisation`: register organisations, see them, suspend, resume and retire them.
//!
//! It works on the store of the configuration, which a running gateway shares: it sees the change at the next request.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{ConfigArguments, Ended, Output, open_app, print, print_json, told_of};
use crate::app::App;
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::organisations::service;
use crate::organisations::{Actor, Change, Contact, Name, Organisation, Registration, Role, Slug, Status};
use crate::storage::Tx;

/// The commands about organisations.
#[derive(Debug, Subcommand)]
pub(super) enum OrganisationCommand {
    /// Register an organisation
    Add(AddArguments),
    /// List all organisations
    List(ListArguments),
    /// Show one organisation, its clients and certificates
    Show(NamedArguments),
    /// Keep an organisation out for a while
    Suspend(NamedArguments),
    /// Let a suspended organisation in again
    Resume(NamedArguments),
    /// Let an organisation leave for good
    Retire(NamedArguments),
}

/// `sluis organisation add`
#[derive(Debug, Args)]
pub(super) struct AddArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Its short name, such as kredietbank
    #[arg(value_name = "SLUG")]
    slug: Slug,
    /// Its OIN
    #[arg(long)]
    oin: Oin,
    /// Its name, as it will stand in certificates
    #[arg(long, value_parser = name)]
    name: Name,
    /// A mailbox of a team, for questions and complaints
    #[arg(long)]
    email: Option<String>,
    /// A telephone number
    #[arg(long)]
    telephone: Option<String>,
    /// A page
    #[arg(long)]
    url: Option<String>,
    /// A role that it gets a client of its own for; can be given more than once
    #[arg(long = "client", value_enum, value_name = "ROLE")]
    clients: Vec<Role>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|error: crate::organisations::types::Expected| error.to_string())
}

/// `sluis organisation list`
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// How to print them
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// A command about one organisation.
#[derive(Debug, Args)]
pub(super) struct NamedArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Its short name or its OIN
    #[arg(value_name = "ORGANISATION")]
    organisation: String,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(super) async fn run(command: &OrganisationCommand) -> Ended {
    match command {
        OrganisationCommand::Add(arguments) => add(arguments).await?,
        OrganisationCommand::List(arguments) => list(arguments).await?,
        OrganisationCommand::Show(arguments) => show(arguments).await?,
        OrganisationCommand::Suspend(arguments) => set(arguments, Status::Suspended).await?,
        OrganisationCommand::Resume(arguments) => set(arguments, Status::Active).await?,
        OrganisationCommand::Retire(arguments) => set(arguments, Status::Retired).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn add(arguments: &AddArguments) -> Result<(), String> {
    let app = open_app(&arguments.config.config).await?;
    let AddArguments { email, telephone, url, .. } = arguments;
    let contact = [email, telephone, url].iter().any(|given| given.is_some());
    let contact = contact.then(|| Contact { email: email.clone(), telephone: telephone.clone(), url: url.clone() });
    let registration = Registration {
        oin: arguments.oin.clone(),
        slug: arguments.slug.clone(),
        name: arguments.name.clone(),
        contact,
    };
    let (roles, actor, now) = (arguments.clients.clone(), operator(&app), app.now());
    let organisation = app
        .db
        .write("register-organisation", async move |tx: &mut Tx| {
            let organisation = service::register(tx, &registration, &actor, now).await?;
            for role in &roles {
                service::ensure_client(tx, &registration.oin, *role, &actor, now).await?;
            }
            Ok(organisation)
        })
        .await
        .map_err(|problem| told_of(&problem))?;
    report(&organisation, arguments.output)
}

async fn list(arguments: &ListArguments) -> Result<(), String> {
    let app = open_app(&arguments.config.config).await?;
    let mut organisations: Vec<Organisation> = Vec::new();
    loop {
        let after = organisations.last().map(|last| last.oin.to_string()).unwrap_or_default();
        let page = service::list(&mut app.db.reader(), &after, 500).await.map_err(|problem| told_of(&problem))?;
        if page.is_empty() {
            break;
        }
        organisations.extend(page);
    }
    if arguments.output == Output::Json {
        return print_json(&organisations.iter().map(body).collect::<Vec<_>>());
    }
    print(&format!("{:<22} {:<28} {:<10} name", "OIN", "short name", "status"))?;
    organisations.iter().try_for_each(|organisation| print(&line(organisation)))
}

async fn show(arguments: &NamedArguments) -> Result<(), String> {
    let app = open_app(&arguments.config.config).await?;
    let organisation = find(&app, &arguments.organisation).await?;
    let mut reader = app.db.reader();
    let fail = |problem: crate::problem::Problem| told_of(&problem);
    let clients = service::clients(&mut reader, &organisation.oin).await.map_err(fail)?;
    let newest = (Timestamp::from_micros(i64::MAX), "");
    let certificates =
        service::certificates(&mut reader, &organisation.oin, newest, 100, &operator(&app)).await.map_err(fail)?;
    if arguments.output == Output::Json {
        let mut body = body(&organisation);
        let certificates: Vec<Value> = certificates
            .iter()
            .map(|record| {
                json!({"serial": record.serial, "clientId": record.client_id, "notBefore": record.not_before,
                    "notAfter": record.not_after, "revokedAt": record.revoked_at, "reasonCode": record.revocation_reason})
            })
            .collect();
        if let Value::Object(members) = &mut body {
            members.insert("clients".into(), json!(clients));
            members.insert("certificates".into(), json!(certificates));
        }
        return print_json(&body);
    }
    print(&line(&organisation))?;
    for client in clients {
        print(&format!("client      {client}"))?;
    }
    for record in certificates {
        let state = match record.revoked_at {
            Some(at) => format!("revoked {at}"),
            None => format!("until {}", record.not_after),
        };
        print(&format!("certificate {} of {}: {state}", record.serial, record.client_id))?;
    }
    Ok(())
}

async fn set(arguments: &NamedArguments, status: Status) -> Result<(), String> {
    let app = open_app(&arguments.config.config).await?;
    let organisation = find(&app, &arguments.organisation).await?;
    let (actor, now) = (operator(&app), app.now());
    let changed = app
        .db
        .write("change-organisation", async move |tx: &mut Tx| {
            let change = Change { status: Some(status), ..Change::default() };
            service::change(tx, &organisation.oin, &change, &actor, now).await
        })
        .await
        .map_err(|problem| told_of(&problem))?;
    report(&changed, arguments.output)
}

fn operator(app: &App) -> Actor {
    Actor::operator(&app.entropy, &app.sealer)
}

async fn find(app: &App, name: &str) -> Result<Organisation, String> {
    service::find_by_name(&mut app.db.reader(), name)
        .await
        .map_err(|_| format!("no organisation is called {name:?}: see sluis organisation list"))
}

fn report(organisation: &Organisation, output: Output) -> Result<(), String> {
    match output {
        Output::Json => print_json(&body(organisation)),
        Output::Text => print(&line(organisation)),
    }
}

fn line(organisation: &Organisation) -> String {
    let Organisation { oin, slug, name, status, .. } = organisation;
    format!("{oin:<22} {:<28} {:<10} {name}", slug.as_str(), status.name())
}

fn body(organisation: &Organisation) -> Value {
    json!({
        "id": organisation.oin, "slug": organisation.slug, "name": organisation.name, "status": organisation.status,
        "contact": organisation.contact, "createdAt": organisation.created_at, "updatedAt": organisation.updated_at,
    })
}
