//! `sluis openapi`: the contract, as it is served.

use std::process::ExitCode;

use clap::Args;

use super::{Ended, print, print_json};
use crate::http::contract::Contract;

/// In which form.
#[derive(Debug, Args)]
pub(super) struct OpenapiArguments {
    /// As JSON, the form in which the gateway serves it, instead of YAML
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &OpenapiArguments) -> Ended {
    if arguments.json {
        let contract = Contract::built_in().map_err(|error| format!("the contract does not load: {error}"))?;
        print_json(contract.json())?;
    } else {
        print(include_str!("../../openapi/sluis.yaml").trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}
