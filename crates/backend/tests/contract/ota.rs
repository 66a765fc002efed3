//! OTA modules and packages.

use std::sync::Arc;

use causeway_model::file::FileState;
use causeway_model::ota::{ModuleFilter, OtaModule, OtaPackage, PackageFilter, PackageObject, PackageType};
use causeway_model::registry::{PageRequest, Product};
use causeway_model::{Code, RecordNo, Spaces};
use causeway_platform::Store;
use causeway_platform::file::{FileContent, FileLimits};

use crate::file::file_for;
use crate::fixture::{app, at, product, refused, seed};
use crate::place::Place;

const ALL: PageRequest = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 50 };

fn module(product: &Product, name: &str) -> OtaModule {
    OtaModule {
        no: RecordNo(0),
        id: format!("{}-{name}", product.id),
        app_id: product.app_id.clone(),
        product_id: product.id.clone(),
        product_name: product.name.clone(),
        name: name.to_owned(),
        alias: Some("别名".to_owned()),
        description: None,
        created_at: at(1),
    }
}

fn package(product: &Product, module: Option<&str>, version: &str, key: &str) -> OtaPackage {
    OtaPackage {
        no: RecordNo(0),
        id: format!("{}-{}-{version}", product.id, module.unwrap_or_default()),
        app_id: product.app_id.clone(),
        package_type: if module.is_some() { PackageType::Module } else { PackageType::Firmware },
        product_id: product.id.clone(),
        product_name: product.name.clone(),
        module_name: module.map(str::to_owned),
        version: version.to_owned(),
        source_versions: vec!["1.0".to_owned(), "1.1".to_owned()],
        description: Some("说明".to_owned()),
        custom_info: Some("{}".to_owned()),
        created_at: at(2),
        object: PackageObject {
            region: "r".to_owned(),
            bucket: "b".to_owned(),
            key: key.to_owned(),
            sign_method: Some("SHA256".to_owned()),
            sign: Some("ab".repeat(32)),
        },
    }
}

/// The key of a stored file in the product's space.
async fn object(store: &dyn Store, product: &Product, id: &str) -> String {
    let space = app(product.app_id.as_str());
    let limits = FileLimits { files: 10, waiting: 10 };
    let file = store.insert_file(file_for(&space, id, "fw"), None, None, limits).await.expect("a file");
    let content = FileContent { state: FileState::Stored, size: Some(1), sha256: None, at: at(3) };
    assert!(store.settle_file(file.no, &content).await.expect("an answer"));
    file.key.to_string()
}

pub(crate) async fn modules_are_kept_and_limited(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product_1) = seed(&*store).await;
    let space = store.insert_app(app("app-2"), 10).await.expect("another space");
    let product_2 = store.insert_product(product(&space, "product-2")).await.expect("another product");
    let made = store.insert_ota_module(product_1.no, module(&product_1, "m1"), 2).await.expect("a module");
    assert_eq!(store.ota_module(&made.id).await.expect("an answer"), Some(made.clone()));
    refused(store.insert_ota_module(product_1.no, module(&product_1, "m1"), 2).await, Code::OtaModuleExists);
    store.insert_ota_module(product_1.no, module(&product_1, "m2"), 2).await.expect("a module");
    refused(store.insert_ota_module(product_1.no, module(&product_1, "m3"), 2).await, Code::TooManyOtaModules);
    store.insert_ota_module(product_2.no, module(&product_2, "m1"), 2).await.expect("of another product");

    let changed = OtaModule { alias: None, description: Some("d".to_owned()), ..made.clone() };
    assert!(store.update_ota_module(&changed).await.expect("an answer"));
    assert_eq!(store.ota_module(&made.id).await.expect("an answer"), Some(changed));
    let names = async |filter: ModuleFilter| {
        let page = store.list_ota_modules(&filter, ALL).await.expect("a page");
        (page.items.into_iter().map(|m| m.id).collect::<Vec<_>>(), page.count)
    };
    let expected = |ids: &[&str]| (ids.iter().map(|i| (*i).to_owned()).collect::<Vec<_>>(), ids.len() as u64);
    assert_eq!(names(ModuleFilter::default()).await, expected(&["product-2-m1", "product-1-m2", "product-1-m1"]));
    let of_space = ModuleFilter { spaces: Spaces::one(space.id.clone()), product_id: None };
    assert_eq!(names(of_space).await, expected(&["product-2-m1"]));
    let of_product = ModuleFilter { spaces: Spaces::All, product_id: Some(product_1.id.clone()) };
    assert_eq!(names(of_product).await, expected(&["product-1-m2", "product-1-m1"]));
    assert!(store.delete_ota_module(made.no).await.expect("an answer"));
    assert!(!store.delete_ota_module(made.no).await.expect("an answer"));
    assert!(!store.update_ota_module(&made).await.expect("an answer"));
    assert!(store.delete_app(&space.id).await.expect("an answer"));
    assert_eq!(store.ota_module("product-2-m1").await.expect("an answer"), None);
    refused(store.insert_ota_module(product_2.no, module(&product_2, "m9"), 2).await, Code::ProductNotFound);
}

pub(crate) async fn packages_hold_their_module_and_object(place: Arc<Place>) {
    let store = place.open().await;
    let (_, owner) = seed(&*store).await;
    let key = object(&*store, &owner, "f1").await;
    let made = store.insert_ota_package(owner.no, package(&owner, None, "2.0", &key)).await.expect("a package");
    assert_eq!(made, OtaPackage { no: made.no, ..package(&owner, None, "2.0", &key) });
    assert_eq!(store.ota_package(&made.id).await.expect("an answer"), Some(made.clone()));
    refused(store.insert_ota_package(owner.no, package(&owner, None, "2.0", &key)).await, Code::OtaPackageExists);
    refused(
        store.insert_ota_package(owner.no, package(&owner, None, "3.0", "app_file/x/y")).await,
        Code::OtaObjectNotFound,
    );
    let of_module = package(&owner, Some("m1"), "2.0", &key);
    refused(store.insert_ota_package(owner.no, of_module.clone()).await, Code::OtaModuleNotFound);
    let module = store.insert_ota_module(owner.no, module(&owner, "m1"), 2).await.expect("a module");
    let of_module = store.insert_ota_package(owner.no, of_module).await.expect("a package of the module");
    refused(store.delete_ota_module(module.no).await, Code::OtaModuleInUse);

    let file = store.file(&causeway_model::FileId::trusted("f1")).await.expect("an answer").expect("the file");
    refused(store.delete_file(file.no).await, Code::FileInUse);
    let list = async |package_type, version: Option<&str>| {
        let version = version.map(str::to_owned);
        let filter = PackageFilter { spaces: Spaces::All, package_type, product_id: None, version };
        let page = store.list_ota_packages(&filter, ALL).await.expect("a page");
        (page.items, page.count)
    };
    assert_eq!(list(PackageType::Module, None).await, (vec![of_module.clone()], 1));
    assert_eq!(list(PackageType::Firmware, Some("2.0")).await, (vec![made.clone()], 1));
    assert_eq!(list(PackageType::Firmware, Some("9")).await, (Vec::new(), 0));
    assert_eq!(list(PackageType::Software, None).await, (Vec::new(), 0));
    for no in [made.no, of_module.no] {
        assert!(store.delete_ota_package(no).await.expect("an answer"));
        assert!(!store.delete_ota_package(no).await.expect("an answer"));
    }
    assert!(store.delete_ota_module(module.no).await.expect("an answer"));
    assert!(store.delete_file(file.no).await.expect("an answer"));
}
